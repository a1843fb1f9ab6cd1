// A validation as a report (docs/reports.md): what `hone validate` prints, and what it writes for scripts and build servers.
#pragma once

#include <cstdint>

#include "hone/release/validate.h"
#include "hone/report/report.h"

namespace hone::release {

// Rows of the table: the metrics that matter for the task, then costs. Every other metric is in the JSON only. Keys beside
// those all reports have: `rows`, `output`, `model` and `baseline` (costs, latency, `evaluation` with all metrics, classes
// and confusion), `passed`. Intervals are bootstrapped with `seed`.
//
// The caller adds what only it knows: files, options, the source of the data.
report::Report report_of(const Validation& validation, std::uint64_t seed);

}  // namespace hone::release
