"""The result versions of everything that evaluation rests on: see runs.versions."""

from ..runs import versions
from . import features, memorisation, metrics

VERSIONS: dict[str, int] = versions.VERSIONS | {
    "features": features.VERSION,
    "metrics": metrics.VERSION,
    "memorisation": memorisation.VERSION,
}
