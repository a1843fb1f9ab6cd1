// Ranges are those of the float32 model on the samples. Then the lowered model runs on them too: a value that is not finite
// any more, or an output beyond the bound, sends nodes back to float32 and the lowering starts again.
//
// Not handled: values inside subgraphs, which lower_precision leaves alone.
#include "hone/formats/precision.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

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

class Lowering {
 public:
  Lowering(const ir::Model& start, const PrecisionSettings& settings, const rewrite::PassOptions& options)
      : start_(start), settings_(settings), options_(options) {
    if (settings.keep.empty()) return;
    try {
      pattern_.emplace(settings.keep);
    } catch (const std::regex_error&) {
      usage_error("{} is no regular expression", quoted(settings.keep));
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

  // Each round keeps at least one node more; twice as many each time, so that few rounds are needed.
  if (!keep.empty()) lowered = lowering.run(keep);
  Comparison comparison = compare(reference, lowered, samples);
  const auto too_wrong = [&] { return settings.max_error > 0 && comparison.output > settings.max_error; };
  for (std::size_t batch = 1;; batch *= 2) {
    const std::set<std::string> before = keep;
    const std::size_t kept_before = report.kept.size();
    std::vector<std::pair<double, const ir::Node*>> guilty;
    bool overflow = false;
    for (const ir::Node& node : reference.graph->nodes()) {
      // How much larger the error of its results is than that of what it reads.
      double of_inputs = 0, of_outputs = 0;
      bool lower = false;
      for (std::size_t i = 0; i < node.input_count(); ++i) {
        if (!node.input(i)) continue;
        const auto found = comparison.errors.find(node.input(i)->name());
        if (found != comparison.errors.end()) of_inputs = std::max(of_inputs, found->second);
      }
      for (std::size_t i = 0; i < node.output_count(); ++i) {
        if (!node.output(i)) continue;
        const auto found = comparison.errors.find(node.output(i)->name());
        if (found != comparison.errors.end()) of_outputs = std::max(of_outputs, found->second);
        lower |= is_lowered(node.output(i)) && !keep.contains(node.output(i)->name());
      }
      if (!lower || !std::isfinite(of_inputs)) continue;
      if (!std::isfinite(of_outputs)) {
        overflow |=
            keep_node(node, node.output(0) ? node.output(0)->name() : "", "its result is not finite in this type");
      } else if (of_outputs > 0) {
        guilty.emplace_back(of_outputs - of_inputs, &node);
      }
    }
    if (!overflow) {
      if (!too_wrong()) break;
      if (guilty.empty()) {
        unsupported(
            "an error of {:.3g} at the outputs is not reached in this type: {:.3g} is left with every node that can "
            "be in float32 there",
            settings.max_error, comparison.output);
      }
      std::stable_sort(guilty.begin(), guilty.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
      for (std::size_t i = 0; i < std::min(batch, guilty.size()); ++i) {
        const ir::Node& node = *guilty[i].second;
        std::size_t output = 0;
        while (!is_lowered(node.output(output))) ++output;
        keep_node(node, node.output(output)->name(), fmt::format("it adds an error of {:.3g}", guilty[i].first));
      }
    }
    const auto try_with = [&](const std::set<std::string>& nodes) {
      lowered = lowering.run(nodes);
      comparison = compare(reference, lowered, samples);
      observer.progress("lowering", nodes.size(), reference.graph->node_count(), "");
    };
    try_with(keep);
    if (overflow || too_wrong()) continue;
    // Fewer of the last ones may do: halve.
    std::size_t low = 0, high = report.kept.size() - kept_before;
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      std::set<std::string> nodes = before;
      for (std::size_t i = 0; i < middle; ++i) nodes.insert(report.kept[kept_before + i].value);
      try_with(nodes);
      (too_wrong() ? low : high) = middle;
    }
    keep = before;
    report.kept.resize(kept_before + high);
    for (std::size_t i = kept_before; i < report.kept.size(); ++i) keep.insert(report.kept[i].value);
    try_with(keep);
    break;
  }
  if (settings.max_error > 0 && count_lowered(lowered, settings.type) == 0) {
    unsupported("an error of {:.3g} at the outputs is only reached with every node in float32", settings.max_error);
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

}  // namespace hone::formats
