// Differential runs. Not handled: models whose results are random by design are compared like any other, and differ;
// callers that find random operators skip the check.
#include "hone/rewrite/verify.h"

#include <algorithm>
#include <cmath>

#include "hone/exec/random_inputs.h"
#include "hone/exec/session.h"
#include "hone/shapes/cost.h"
#include "hone/support/error.h"

namespace hone::rewrite {
namespace {

// A Loop without turns gives no items of a size that nobody computed: it is what inference knows, and 0 where it knows nothing.
// After a rewrite it may know more.
bool are_equally_empty(const ir::Dims& a, const ir::Dims& b) {
  const auto is_zero = [](std::int64_t dim) { return dim == 0; };
  if (a.size() != b.size() || std::none_of(a.begin(), a.end(), is_zero) || std::none_of(b.begin(), b.end(), is_zero))
    return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && a[i] != 0 && b[i] != 0) return false;
  }
  return true;
}

std::optional<Difference> compare_tensors(const std::string& name, const ir::Tensor& a, const ir::Tensor& b,
                                          double tolerance) {
  const auto differ = [&](std::string detail, double relative = INFINITY) {
    return Difference{name, std::move(detail), relative};
  };
  if (a.type() != b.type()) {
    return differ(fmt::format("type {} became {}", ir::name(a.type()), ir::name(b.type())));
  }
  if (a.dims() != b.dims()) {
    if (are_equally_empty(a.dims(), b.dims())) return std::nullopt;
    return differ(fmt::format("shape {} became {}", ir::text(a.dims()), ir::text(b.dims())));
  }
  if (a.is_string()) {
    return *a.string_values() == *b.string_values() ? std::nullopt : std::optional(differ("strings differ"));
  }
  if (!ir::is_float(a.type())) return ir::equal(a, b) ? std::nullopt : std::optional(differ("values differ"));
  const std::vector<double> x = a.to_doubles(), y = b.to_doubles();
  double largest = 0;
  for (const double v : x) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) {
      return differ(fmt::format("element {}: {} became {}", i, x[i], y[i]));
    }
    if (std::abs(x[i] - y[i]) > worst) {
      worst = std::abs(x[i] - y[i]);
      where = i;
    }
  }
  // Half precision rounds at 2^-11 of a value, more than the tolerance made for float32.
  const double unit = a.type() == ir::ElementType::float32 || a.type() == ir::ElementType::float64 ? 0.0 : 4e-3;
  if (worst <= std::max(tolerance, unit) * largest) return std::nullopt;
  return differ(fmt::format("element {}: {:.9g} became {:.9g}, {:.3g} of the largest value {:.3g}", where, x[where],
                            y[where], largest > 0 ? worst / largest : INFINITY, largest),
                largest > 0 ? worst / largest : INFINITY);
}

}  // namespace

std::optional<Difference> compare(const std::string& name, const ir::Datum& before, const ir::Datum& after,
                                  double tolerance) {
  if (before.value.index() != after.value.index()) return Difference{name, "kind of value differs", INFINITY};
  if (const ir::Tensor* a = before.tensor()) return compare_tensors(name, *a, *after.tensor(), tolerance);
  if (const ir::Sequence* a = before.sequence()) {
    const ir::Sequence* b = after.sequence();
    if (a->items.size() != b->items.size()) return Difference{name, "length of sequence differs", INFINITY};
    for (std::size_t i = 0; i < a->items.size(); ++i) {
      if (auto found = compare(name, a->items[i], b->items[i], tolerance)) return found;
    }
    return std::nullopt;
  }
  if (const ir::Optional* a = before.optional()) {
    const ir::Optional* b = after.optional();
    if (!a->value != !b->value) return Difference{name, "presence differs", INFINITY};
    return a->value ? compare(name, *a->value, *b->value, tolerance) : std::nullopt;
  }
  const ir::Map *a = before.map(), *b = after.map();
  if (auto found = compare(name, a->keys, b->keys, tolerance)) return found;
  for (std::size_t i = 0; i < a->values.size(); ++i) {
    if (auto found = compare(name, a->values[i], b->values[i], tolerance)) return found;
  }
  return std::nullopt;
}

VerifyResult verify_equal(const ir::Model& before, const ir::Model& after, const VerifyOptions& options) {
  VerifyResult result;
  exec::SessionOptions session_options;
  session_options.reference = options.reference;
  session_options.seed = options.seed;
  std::optional<exec::Session> original;
  try {
    original.emplace(before, session_options);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal || error.kind() == ErrorKind::interrupted) throw;
    result.reason = error.message();
    return result;
  }
  std::optional<exec::Session> rewritten;
  // Some sizes are none that the model takes: a few more tries than runs.
  const int given = static_cast<int>(options.inputs.size());
  const int tries = given + (options.variations > 0 ? options.variations + 4 : 0);
  int random_runs = 0;
  for (int i = 0; i < tries && (i < given || random_runs < options.variations); ++i) {
    std::vector<ir::Datum> expected;
    std::vector<ir::NamedDatum> inputs;
    try {
      inputs = i < given ? options.inputs[static_cast<std::size_t>(i)]
                         : exec::random_inputs(before, options.seed, i - given);
      expected = original->run(inputs);
    } catch (const Error& error) {
      // Sizes or values the model does not take: its own business.
      if (error.kind() == ErrorKind::internal || error.kind() == ErrorKind::interrupted) throw;
      if (result.reason.empty()) result.reason = error.message();
      continue;
    }
    if (!rewritten) rewritten.emplace(after, session_options);
    const std::vector<ir::Datum> found = rewritten->run(inputs);
    ++result.runs;
    random_runs += i >= given;
    for (std::size_t o = 0; o < expected.size(); ++o) {
      if (auto difference = compare(original->output_names()[o], expected[o], found.at(o), options.tolerance)) {
        result.differences.push_back(std::move(*difference));
      }
    }
    if (!result.differences.empty()) {
      result.inputs = std::move(inputs);
      break;
    }
  }
  if (result.runs > 0) {
    result.verdict = result.differences.empty() ? VerifyResult::Verdict::equal : VerifyResult::Verdict::different;
  }
  return result;
}

bool is_cheap_to_verify(const ir::Model& model) {
  // Two runs each of two models; a core does some 1e10 multiply-accumulates a second on optimized kernels. Small symbols
  // become 64 or so in random_inputs.
  const shapes::Cost cost = shapes::cost(model, 16);
  return cost.macs < 5e8 && cost.activation_bytes < 64e6 && cost.parameter_bytes < 64e6 && cost.nodes < 20000;
}

}  // namespace hone::rewrite
