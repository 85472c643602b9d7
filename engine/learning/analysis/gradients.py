"""Textual gradients: a model's analyses of why a batch failed, read as proposals for rules.

Method: ProTeGi (Pryzant et al. 2023, arXiv 2305.03495) names the idea; here the base instructions stay
frozen and an analysis proposes single rules, which are tested one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from engine.ground.errors import ContextOverflowError
from engine.ground.seeds import derive_seed, sampling_lm
from engine.journal.event_parts import DroppedProposal
from engine.journal.events import AnalysisFinished, ConsensusReached, Emit, Notice
from engine.journal.listening import listening
from engine.journal.live_text import LiveText
from engine.journal.replay import cause_of, recording
from engine.learning.analysis.batches import Batch
from engine.learning.analysis.consensus import Consensus, agree
from engine.learning.analysis.leakage import QuotationIndex
from engine.learning.analysis.prompts import analysis_inputs
from engine.learning.analysis.signatures import AnalyzeFailures, AnalyzeProgramFailures, PredictorRule
from engine.programs.formatting import ExampleFormatter
from engine.programs.program import FrozenProgram
from engine.programs.rules import ParsedRule, RuleSet
from engine.project.config import HIGHEST_TEMPERATURE, PromptGradConfig

_SUCCESSES_SHOWN = 3
_LONGEST_RULE = 600


class GradientWriter:
    """Asks a model what went wrong in a batch, several times, and keeps what the answers agree on."""

    def __init__(
        self,
        program: FrozenProgram,
        lm: dspy.LM,
        config: PromptGradConfig,
        formatter: ExampleFormatter,
        quotations: QuotationIndex,
        *,
        seed: int,
        adapter: dspy.Adapter | None = None,
        emit: Emit,
        live: LiveText | None = None,
    ) -> None:
        self._program = program
        self._lm = lm
        self._config = config
        self._formatter = formatter
        self._quotations = quotations
        self._seed = seed
        self._adapter = adapter or dspy.JSONAdapter()
        self._emit = emit
        self._live = live
        several = len(program.predictors) > 1
        self._predict = dspy.Predict(AnalyzeProgramFailures if several else AnalyzeFailures)

    def write(self, batch: Batch, rules: RuleSet) -> Consensus:
        """Return the proposals that a majority of analysis passes makes, and what was dropped and why."""
        passes = self._config.gradient_samples if self._config.gradient_consensus else 1
        limit = self._config.gradient_failure_display_limit
        for shown in range(min(limit, len(batch.failures(self._config.failure_threshold))), 0, -1):
            inputs = self._inputs(batch, rules, shown)
            try:
                return self._consensus(batch, rules, inputs, passes)
            except ContextOverflowError as error:
                failures, then = (
                    (f"{shown} failures", "Showing fewer.")
                    if shown > 1
                    else ("a single failure", "The batch teaches nothing.")
                )
                self._emit(
                    Notice(
                        id=f"{batch.place}/overflow/{shown}",
                        level="warning",
                        text=f"An analysis of {failures} doesn't fit: {error.message} {then}",
                    )
                )
        return Consensus(kept=(), dropped=())

    def _inputs(self, batch: Batch, rules: RuleSet, shown: int) -> dict[str, str]:
        threshold = self._config.failure_threshold
        return analysis_inputs(
            task=self._program.task(),
            rules=rules,
            failures=[
                (item.values, rollout.score, rollout.prediction, rollout.trace)
                for item, rollout in batch.failures(threshold)[:shown]
            ],
            successes=[item.values for item, _ in batch.successes(threshold)[:_SUCCESSES_SHOWN]],
            formatter=self._formatter,
        )

    def _consensus(self, batch: Batch, rules: RuleSet, inputs: dict[str, str], passes: int) -> Consensus:
        with ThreadPoolExecutor(passes, thread_name_prefix="analysis") as pool:
            answers = list(
                pool.map(lambda number: self._analyse(batch, rules, inputs, number), range(passes))
            )
        sound, dropped = [], []
        for proposals in answers:
            kept, bad = self._screen(proposals)
            sound.append(kept)
            dropped.extend(bad)
        agreed = agree(sound, rules)
        result = Consensus(kept=agreed.kept, dropped=(*dropped, *agreed.dropped))
        self._emit(
            ConsensusReached(
                id=f"{batch.place}/consensus",
                epoch=batch.place.epoch,
                batch=batch.place.batch,
                passes=passes,
                kept=result.kept,
                dropped=result.dropped,
            )
        )
        return result

    def _analyse(self, batch: Batch, rules: RuleSet, inputs: dict[str, str], number: int) -> list[ParsedRule]:
        config = self._config
        warmer = config.gradient_temperature_base + number * config.gradient_temperature_step
        temperature = min(warmer, HIGHEST_TEMPERATURE)
        seed = derive_seed(self._seed, "analysis", batch.place.epoch, batch.place.batch, number)
        lm = sampling_lm(self._lm, seed, temperature=temperature, max_tokens=config.gradient_max_tokens)
        analysis, problem, proposals = "", "", []
        with self._heard(batch, number), recording() as used:
            try:
                with dspy.context(lm=lm, adapter=self._adapter, trace=None):
                    answer = self._predict(**inputs)
                analysis = answer.analysis
                proposals = self._read(answer, rules)
            except AdapterParseError as error:
                problem = f"The analysis could not be read: {str(getattr(error, 'lm_response', ''))[:200]}"
            except Exception as error:
                raise cause_of(error) or error from error
            self._emit(
                AnalysisFinished(
                    id=f"{batch.place}/analysis/{number}",
                    epoch=batch.place.epoch,
                    batch=batch.place.batch,
                    number=number,
                    temperature=temperature,
                    analysis=analysis,
                    proposals=tuple(proposals),
                    problem=problem,
                    completions=tuple(used.keys),
                )
            )
        return proposals

    @contextmanager
    def _heard(self, batch: Batch, number: int) -> Iterator[None]:
        """Publish a pass's text while the model writes it."""
        if self._live is None:
            yield
            return
        with self._live.writing(batch.place.epoch, batch.place.batch, number) as hear, listening(hear):
            yield

    def _read(self, answer: Any, rules: RuleSet) -> list[ParsedRule]:
        numbered = dict(enumerate(rules, 1))
        added = [
            ParsedRule(
                action="add",
                text=" ".join(rule.text.split()),
                trigger=" ".join(rule.trigger.split()),
                rationale=answer.analysis,
                predictor=rule.predictor if isinstance(rule, PredictorRule) else None,
            )
            for rule in answer.add
        ]
        removed = [
            ParsedRule(
                action="remove",
                text=numbered[number].text,
                trigger=numbered[number].trigger,
                rationale=answer.analysis,
                predictor=numbered[number].predictor,
            )
            for number in dict.fromkeys(answer.remove)
            if number in numbered
        ]
        return [*added, *removed]

    def _screen(self, proposals: Sequence[ParsedRule]) -> tuple[list[ParsedRule], list[DroppedProposal]]:
        kept, dropped = [], []
        for proposal in proposals:
            reason = self._flaw(proposal)
            if reason:
                dropped.append(DroppedProposal(proposal=proposal, reason=reason))
            else:
                name = self._program.resolve_predictor(proposal.predictor)
                kept.append(proposal.model_copy(update={"predictor": name}))
        return kept, dropped

    def _flaw(self, proposal: ParsedRule) -> str:
        """Return why a proposal is not worth testing, or ""."""
        if proposal.action == "remove":
            return ""
        if not proposal.text:
            return "it says nothing"
        if len(proposal.text) > _LONGEST_RULE:
            return f"it is longer than {_LONGEST_RULE} characters"
        if self._program.resolve_predictor(proposal.predictor) is None:
            return f"the program has no step {proposal.predictor!r}"
        quoted = self._quotations.quoted_span(proposal.text)
        return f'it quotes a training example: "{quoted}"' if quoted else ""
