// Errors of parts are nearly independent: their squares add up. So a run is worth its number of parts for the square of its
// error, and the best are taken first.
#include "formats/sensitivity.h"

#include <algorithm>
#include <cmath>

namespace hone::formats {
namespace {

struct Run {
  std::size_t begin, end;
  double error = 0;
  std::size_t size() const { return end - begin; }
  double price() const { return error * error / static_cast<double>(size()); }
};

}  // namespace

Sensitivity choose_by_sensitivity(std::size_t parts, double bound,
                                  const std::function<double(const std::vector<bool>&)>& error, int budget) {
  Sensitivity result;
  result.chosen.assign(parts, false);
  result.alone.assign(parts, 0);
  const auto measure = [&](const std::vector<bool>& chosen) {
    ++result.trials;
    return error(chosen);
  };
  const auto measured = [&](std::size_t begin, std::size_t end) {
    std::vector<bool> chosen(parts, false);
    std::fill(chosen.begin() + static_cast<std::ptrdiff_t>(begin), chosen.begin() + static_cast<std::ptrdiff_t>(end),
              true);
    return Run{begin, end, measure(chosen)};
  };

  // A third of the measurements for runs of one length, a third for halves of the dearest.
  std::vector<Run> runs;
  const std::size_t first =
      std::clamp<std::size_t>(static_cast<std::size_t>(budget) / 3, 1, std::max<std::size_t>(parts, 1));
  for (std::size_t i = 0; i < first && parts > 0; ++i)
    runs.push_back(measured(parts * i / first, parts * (i + 1) / first));
  while (result.trials + 2 <= budget * 2 / 3) {
    const auto dearest = std::max_element(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
      return (a.size() > 1 ? a.error : -1) < (b.size() > 1 ? b.error : -1);
    });
    if (dearest == runs.end() || dearest->size() < 2) break;
    const Run whole = *dearest;
    const std::size_t middle = whole.begin + whole.size() / 2;
    *dearest = measured(whole.begin, middle);
    runs.insert(dearest + 1, measured(middle, whole.end));
  }
  for (const Run& run : runs) {
    for (std::size_t i = run.begin; i < run.end; ++i) result.alone[i] = run.error;
  }

  std::stable_sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.price() < b.price(); });
  const auto with = [&](std::size_t count) {
    std::vector<bool> chosen(parts, false);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t at = runs[i].begin; at < runs[i].end; ++at) chosen[at] = true;
    }
    return chosen;
  };
  std::size_t low = 0, high = runs.size() + 1;  // `low` runs are within the bound, `high` are not
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    const double found = measure(with(middle));
    if (found <= bound) {
      low = middle;
      result.error = found;
    } else {
      high = middle;
    }
  }
  result.chosen = with(low);
  // One that did not fit may have kept others out.
  for (std::size_t i = low + 1; i < runs.size() && result.trials < budget; ++i) {
    std::vector<bool> more = result.chosen;
    for (std::size_t at = runs[i].begin; at < runs[i].end; ++at) more[at] = true;
    const double found = measure(more);
    if (found > bound) continue;
    result.chosen = std::move(more);
    result.error = found;
  }
  return result;
}

}  // namespace hone::formats
