// Ranges are those of the float32 model on the samples. Then the lowered model runs on them too: a value that is not finite
// any more sends its node back to float32. Where an output is beyond the bound, nodes are lowered in parts, and those stay
// in float32 that cost most (formats/sensitivity.h).
//
// Not handled: values inside subgraphs, which lower_precision leaves alone.
#include "hone/formats/precision.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "formats/sensitivity.h"
#include "hone/exec/random_inputs.h"
#include "hone/exec/session.h"
#include "hone/passes/precision.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace hone::formats {
namespace {

using Samples = std::vector<std::vector<ir::NamedDatum>>;

// Data are a sample: what comes within a factor of two of the largest value may pass it another time.
constexpr double kHeadroom = 2;
// What is reported, and sends no node back by itself.
constexpr double kShownError = 0.01;

struct Seen {
  double largest = 0;
  std::uint64_t elements = 0, overflowing = 0, flushed = 0, nonzero = 0;
  bool finite = true;
};

void look(const ir::Tensor& tensor, const passes::Range& range, Seen& seen) {
  for (const double value : tensor.to_doubles()) {
    ++seen.elements;
    if (!std::isfinite(value)) {
      seen.finite = false;
      continue;
    }
    const double size = std::abs(value);
    seen.largest = std::max(seen.largest, size);
    seen.overflowing += size > range.largest;
    seen.nonzero += size > 0;
    seen.flushed += size > 0 && size < range.smallest / 2;
  }
}

// Float values that nodes of the main graph make.
std::vector<std::string> float_values(const ir::Model& model) {
  std::vector<std::string> names;
  for (const ir::Node& node : model.graph->nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const ir::Value* value = node.output(i);
      if (value && value->type().is_tensor() && ir::is_float(value->element_type())) names.push_back(value->name());
    }
  }
  return names;
}

// The samples as the lowered model takes them.
std::vector<ir::NamedDatum> adapt(const std::vector<ir::NamedDatum>& sample, const ir::Model& model) {
  std::vector<ir::NamedDatum> result;
  for (const ir::NamedDatum& input : sample) {
    const ir::Value* value = model.graph->find(input.name);
    const ir::Tensor* tensor = input.datum.tensor();
    if (!value || !tensor || value->element_type() == tensor->type() || tensor->type() != ir::ElementType::float32) {
      result.push_back(input);
      continue;
    }
    ir::Tensor lower = ir::Tensor::allocate(value->element_type(), tensor->dims());
    const std::vector<float> values = tensor->to_floats();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (value->element_type() == ir::ElementType::float16) {
        lower.mutable_data<float16>()[i] = to_float16(static_cast<double>(values[i]));
      } else {
        lower.mutable_data<bfloat16>()[i] = to_bfloat16(static_cast<double>(values[i]));
      }
    }
    result.push_back({input.name, std::move(lower)});
  }
  return result;
}

// Largest |a - b| relative to the largest |a|; infinite where b is not finite and a is.
double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0, worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i])) continue;
    if (!std::isfinite(b[i])) return INFINITY;
    largest = std::max(largest, std::abs(a[i]));
    worst = std::max(worst, std::abs(a[i] - b[i]));
  }
  return largest > 0 ? worst / largest : worst;
}

struct Comparison {
  std::map<std::string, double> errors;  // of every value both models have
  double output = 0;
};

Comparison compare(const ir::Model& reference, const ir::Model& lowered, const Samples& samples) {
  std::vector<std::string> shared;
  for (const std::string& name : float_values(reference)) {
    const ir::Value* value = lowered.graph->find(name);
    if (value && value->producer() && value->type().is_tensor() && ir::is_float(value->element_type()))
      shared.push_back(name);
  }
  Comparison result;
  exec::Session a(reference), b(lowered);
  std::map<std::string, std::vector<double>> expected;
  a.observe(shared, [&](std::string_view name, const ir::Tensor& tensor) {
    expected[std::string(name)] = tensor.to_doubles();
  });
  b.observe(shared, [&](std::string_view name, const ir::Tensor& tensor) {
    double& error = result.errors[std::string(name)];
    error = std::max(error, relative_error(expected[std::string(name)], tensor.to_doubles()));
  });
  for (const auto& sample : samples) {
    check_interrupt();
    const std::vector<ir::Datum> x = a.run(sample), y = b.run(adapt(sample, lowered));
    for (std::size_t o = 0; o < x.size(); ++o) {
      if (!x[o].tensor() || !y[o].tensor() || !ir::is_float(x[o].tensor()->type())) continue;
      result.output = std::max(result.output, relative_error(x[o].tensor()->to_doubles(), y[o].tensor()->to_doubles()));
    }
  }
  return result;
}

// Of every sample and output; empty where it is no tensor of floats.
std::vector<std::vector<double>> outputs_of(const ir::Model& model, const Samples& samples) {
  std::vector<std::vector<double>> result;
  exec::Session session(model);
  for (const auto& sample : samples) {
    for (const ir::Datum& output : session.run(adapt(sample, model))) {
      const ir::Tensor* tensor = output.tensor();
      result.push_back(tensor && ir::is_float(tensor->type()) ? tensor->to_doubles() : std::vector<double>());
    }
  }
  return result;
}

double output_error(const std::vector<std::vector<double>>& expected, const ir::Model& lowered,
                    const Samples& samples) {
  const auto found = outputs_of(lowered, samples);
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) worst = std::max(worst, relative_error(expected[i], found[i]));
  return worst;
}

class Lowering {
 public:
  Lowering(const ir::Model& start, const PrecisionSettings& settings, const rewrite::PassOptions& options)
      : start_(start), settings_(settings), options_(options) {
    if (settings.keep.empty()) return;
    try {
      pattern_.emplace(settings.keep);
    } catch (const std::regex_error&) {
      usage_error("{} is no regular expression", quote(settings.keep));
    }
  }

  // The model with these nodes (by the name of an output) in float32.
  ir::Model run(const std::set<std::string>& keep) {
    ir::Model model = start_.clone();
    shapes::Inference shapes(model);
    shapes.run();
    rewrite::Rewriter rewriter(model, shapes);
    rewrite::PassContext context{rewriter, options_};
    passes::PrecisionOptions precision;
    precision.type = settings_.type;
    precision.convert_signature = settings_.convert_signature;
    precision.keep = [&](const ir::Node& node) {
      if (pattern_ && (std::regex_search(node.name(), *pattern_) || std::regex_match(node.op_type(), *pattern_)))
        return true;
      for (std::size_t i = 0; i < node.output_count(); ++i) {
        if (node.output(i) && keep.contains(node.output(i)->name())) return true;
      }
      return false;
    };
    (void)passes::lower_precision(context, precision);
    return model;
  }

 private:
  const ir::Model& start_;
  const PrecisionSettings& settings_;
  const rewrite::PassOptions& options_;
  std::optional<std::regex> pattern_;
};

std::uint64_t count_lowered(const ir::Model& model, ir::ElementType type) {
  std::uint64_t count = 0;
  for (const ir::Node& node : model.graph->nodes()) {
    if (node.is("Cast")) continue;
    bool lowered = false;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      lowered |= node.output(i) && node.output(i)->element_type() == type;
    }
    count += lowered;
  }
  return count;
}

}  // namespace

PrecisionReport set_precision(ir::Model& model, const PrecisionSettings& settings, const Samples& samples,
                              const rewrite::PassOptions& options, Observer& observer) {
  PrecisionReport report;
  report.samples = static_cast<int>(samples.size());
  // Types of all values, for the samples' sake, on a copy: the model's own declarations stay.
  ir::Model reference = model.clone();
  shapes::Inference(reference).run();
  Lowering lowering(model, settings, options);
  if (samples.empty()) {
    model = lowering.run({});
    report.lowered = count_lowered(model, settings.type);
    return report;
  }

  const passes::Range range = passes::range_of(settings.type);
  std::map<std::string, Seen> seen;
  {
    exec::Session session(reference);
    session.observe(float_values(reference), [&](std::string_view name, const ir::Tensor& tensor) {
      look(tensor, range, seen[std::string(name)]);
    });
    std::uint64_t done = 0;
    for (const auto& sample : samples) {
      check_interrupt();
      for (const ir::NamedDatum& input : sample) {
        if (const ir::Tensor* tensor = input.datum.tensor(); tensor && ir::is_float(tensor->type())) {
          look(*tensor, range, seen[input.name]);
        }
      }
      session.run_shared(sample);
      observer.progress("checking ranges", ++done, samples.size(), "");
    }
  }

  std::set<std::string> keep;
  ir::Model lowered = lowering.run(keep);
  const auto is_lowered = [&](const ir::Value* value) {
    const ir::Value* lower = value ? lowered.graph->find(value->name()) : nullptr;
    // An output of the model has its type from a Cast behind the node.
    if (lower && lower->producer() && lower->producer()->is("Cast")) lower = lower->producer()->input(0);
    return lower && lower->element_type() == settings.type;
  };
  const auto keep_node = [&](const ir::Node& node, const std::string& value, std::string reason) {
    bool fresh = false;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (is_lowered(node.output(i))) fresh |= keep.insert(node.output(i)->name()).second;
    }
    if (fresh) report.kept.push_back({node.name(), node.op_type(), value, std::move(reason)});
    return fresh;
  };
  for (const ir::Node& node : reference.graph->nodes()) {
    const auto check = [&](const ir::Value* value) {
      const auto found = value ? seen.find(value->name()) : seen.end();
      if (found == seen.end()) return;
      const Seen& of = found->second;
      if (of.largest * kHeadroom > range.largest) {
        keep_node(node, value->name(), fmt::format("a value reaches {:.4g}", of.largest));
      } else if (of.nonzero > 0 && of.largest < range.smallest_normal) {
        keep_node(node, value->name(), fmt::format("no value is larger than {:.4g}", of.largest));
      }
    };
    for (std::size_t i = 0; i < node.input_count(); ++i) check(node.input(i));
    for (std::size_t i = 0; i < node.output_count(); ++i) check(node.output(i));
  }

  // What is not finite where it was stays in float32; that can show other nodes, which took its results.
  if (!keep.empty()) lowered = lowering.run(keep);
  Comparison comparison = compare(reference, lowered, samples);
  for (bool overflow = true; overflow;) {
    overflow = false;
    const auto error_of = [&](const ir::Value* value) {
      const auto found = value ? comparison.errors.find(value->name()) : comparison.errors.end();
      return found == comparison.errors.end() ? 0.0 : found->second;
    };
    for (const ir::Node& node : reference.graph->nodes()) {
      double of_inputs = 0, of_outputs = 0;
      for (std::size_t i = 0; i < node.input_count(); ++i) of_inputs = std::max(of_inputs, error_of(node.input(i)));
      for (std::size_t i = 0; i < node.output_count(); ++i) of_outputs = std::max(of_outputs, error_of(node.output(i)));
      if (!std::isfinite(of_inputs) || std::isfinite(of_outputs)) continue;
      overflow |=
          keep_node(node, node.output(0) ? node.output(0)->name() : "", "its result is not finite in this type");
    }
    if (!overflow) break;
    lowered = lowering.run(keep);
    comparison = compare(reference, lowered, samples);
    observer.progress("lowering", keep.size(), reference.graph->node_count(), "");
  }

  if (settings.max_error > 0 && !(comparison.output <= settings.max_error)) {
    // Node by node: the value it is known by.
    std::vector<std::pair<const ir::Node*, std::string>> parts;
    for (const ir::Node& node : reference.graph->nodes()) {
      for (std::size_t i = 0; i < node.output_count(); ++i) {
        if (!is_lowered(node.output(i)) || keep.contains(node.output(i)->name())) continue;
        parts.emplace_back(&node, node.output(i)->name());
        break;
      }
    }
    const auto expected = outputs_of(reference, samples);
    const auto kept_besides = [&](const std::vector<bool>& chosen) {
      std::set<std::string> nodes = keep;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (!chosen[i]) nodes.insert(parts[i].second);
      }
      return nodes;
    };
    std::uint64_t trials = 0;
    const Sensitivity found =
        choose_by_sensitivity(parts.size(), settings.max_error, [&](const std::vector<bool>& chosen) {
          check_interrupt();
          observer.progress("measuring sensitivity", ++trials, 0, "");
          return output_error(expected, lowering.run(kept_besides(chosen)), samples);
        });
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (found.chosen[i]) continue;
      keep_node(*parts[i].first, parts[i].second,
                fmt::format("lowered alone, or with its neighbours, it costs an error of {:.3g}", found.alone[i]));
    }
    lowered = lowering.run(keep);
    comparison = compare(reference, lowered, samples);
    if (count_lowered(lowered, settings.type) == 0 || comparison.output > settings.max_error) {
      unsupported("an error of {:.3g} at the outputs is only reached with every node in float32", settings.max_error);
    }
  }

  for (const auto& [name, of] : seen) {
    PrecisionReport::Value value;
    value.name = name;
    const ir::Value* made = reference.graph->find(name);
    if (made && made->producer()) value.node = made->producer()->name();
    value.largest = of.largest;
    const double elements = static_cast<double>(std::max<std::uint64_t>(1, of.elements));
    value.overflowing = static_cast<double>(of.overflowing) / elements;
    value.flushed = static_cast<double>(of.flushed) / elements;
    const auto error = comparison.errors.find(name);
    value.error = error == comparison.errors.end() ? 0 : error->second;
    if (value.overflowing > 0 || value.flushed > 0 || value.error > kShownError)
      report.values.push_back(std::move(value));
  }
  report.error = comparison.output;
  report.lowered = count_lowered(lowered, settings.type);
  model = std::move(lowered);
  return report;
}

std::vector<std::vector<ir::NamedDatum>> random_samples(const ir::Model& model, std::uint64_t seed, int count) {
  std::vector<std::vector<ir::NamedDatum>> samples;
  std::string reason;
  exec::Session session(model);
  // Some sizes are none that the model takes: as many tries again, and a few.
  for (int variation = 0; variation < 2 * count + 4 && samples.size() < static_cast<std::size_t>(count); ++variation) {
    try {
      std::vector<ir::NamedDatum> inputs = exec::random_inputs(model, seed, variation);
      session.run(inputs);
      samples.push_back(std::move(inputs));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_input && error.kind() != ErrorKind::unsupported) throw;
      reason = error.message();
    }
  }
  if (samples.empty()) unsupported("no random inputs that the model runs on were found ({}): give --data", reason);
  return samples;
}

}  // namespace hone::formats
