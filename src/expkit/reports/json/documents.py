"""All kinds of documents by name; docs/make.py writes docs/schemas/NAME.json of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expkit.reports.json.analysis import AnalysisDocument
from expkit.reports.json.choices import ChoicesDocument
from expkit.reports.json.comparison import ComparisonDocument
from expkit.reports.json.diagnosis import DiagnosisDocument
from expkit.reports.json.error import ErrorDocument
from expkit.reports.json.event import Event
from expkit.reports.json.latency import LatencyDocument
from expkit.reports.json.predictions import PredictionsDocument
from expkit.reports.json.run import RunDocument
from expkit.reports.json.runs import RunsDocument
from expkit.reports.json.sweep import SweepDocument
from expkit.reports.json.threshold import ThresholdDocument

DOCUMENTS: Mapping[str, Any] = {  # a class, or several of which a document is one
    "run": RunDocument,
    "sweep": SweepDocument,
    "runs": RunsDocument,
    "comparison": ComparisonDocument,
    "diagnosis": DiagnosisDocument,
    "analysis": AnalysisDocument,
    "choices": ChoicesDocument,
    "latency": LatencyDocument,
    "predictions": PredictionsDocument,
    "threshold": ThresholdDocument,
    "event": Event,
    "error": ErrorDocument,
}
