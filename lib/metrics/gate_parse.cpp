// Reading gates, with all mistakes that can be seen before anything is measured.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "hone/metrics/gate.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::metrics {
namespace {

constexpr auto higher = Better::higher, lower = Better::lower, neither = Better::neither;

constexpr std::array metrics_table = {
    MetricInfo{"accuracy", Unit::share, higher, false, "rows answered right"},
    MetricInfo{"balanced_accuracy", Unit::share, higher, false, "mean of the recalls of the classes"},
    MetricInfo{"topk_accuracy", Unit::share, higher, false,
               "rows whose class is among the k first: [k=5], or top5_accuracy"},
    MetricInfo{"precision", Unit::share, higher, false,
               "answers that are right: [macro|micro|weighted|binary], [class=C]"},
    MetricInfo{"recall", Unit::share, higher, false, "rows of a class that were found: as precision"},
    MetricInfo{"f1", Unit::share, higher, false, "harmonic mean of the two: as precision"},
    MetricInfo{"auc", Unit::share, higher, false, "area under the ROC curve: [macro|weighted], [class=C]"},
    MetricInfo{"average_precision", Unit::share, higher, false, "area under precision over recall: as auc"},
    MetricInfo{"mcc", Unit::number, higher, false, "Matthews correlation"},
    MetricInfo{"loss", Unit::number, lower, false, "cross entropy in nats; mean squared error for regression"},
    MetricInfo{"brier", Unit::number, lower, false, "Brier score"},
    MetricInfo{"ece", Unit::share, lower, false, "expected calibration error, 15 bins"},
    MetricInfo{"mse", Unit::number, lower, false, "mean squared error"},
    MetricInfo{"rmse", Unit::number, lower, false, "its square root"},
    MetricInfo{"mae", Unit::number, lower, false, "mean absolute error"},
    MetricInfo{"r2", Unit::number, higher, false, "coefficient of determination"},
    MetricInfo{"max_error", Unit::number, lower, false, "largest absolute error"},
    MetricInfo{"size", Unit::bytes, lower, false, "bytes of the model, external data included"},
    MetricInfo{"parameters", Unit::count, lower, false, "elements of the weights"},
    MetricInfo{"sparsity", Unit::share, higher, false, "weights that are 0"},
    MetricInfo{"macs", Unit::count, lower, false, "multiply-accumulates of one sample"},
    MetricInfo{"nodes", Unit::count, lower, false, "nodes of the graph"},
    MetricInfo{"memory", Unit::bytes, lower, false, "peak bytes of the values of one run"},
    MetricInfo{"latency", Unit::seconds, lower, false, "median time of a run: [p90], [p95], [p99], [min], [mean]"},
    MetricInfo{"max_abs_diff", Unit::number, lower, true, "largest difference of outputs: [output=NAME]"},
    MetricInfo{"mean_abs_diff", Unit::number, lower, true, "mean difference of outputs"},
    MetricInfo{"max_rel_diff", Unit::number, lower, true, "largest difference over the largest output"},
    MetricInfo{"cosine", Unit::number, higher, true, "cosine similarity of outputs"},
    MetricInfo{"sqnr", Unit::decibel, higher, true, "signal to quantization noise of outputs"},
    MetricInfo{"agreement", Unit::share, higher, true, "rows whose largest output is at the same place"},
    MetricInfo{"flips", Unit::share, lower, true, "rows answered otherwise than by the baseline"},
    MetricInfo{"negative_flips", Unit::share, lower, true, "rows the baseline answered right and this model wrong"},
    MetricInfo{"positive_flips", Unit::share, neither, true, "rows the baseline answered wrong and this model right"},
};

constexpr std::pair<const char*, const char*> aliases[] = {
    {"acc", "accuracy"},
    {"roc_auc", "auc"},
    {"ap", "average_precision"},
    {"pr_auc", "average_precision"},
    {"f1_score", "f1"},
    {"log_loss", "loss"},
    {"cross_entropy", "loss"},
    {"params", "parameters"},
    {"file_size", "size"},
    {"max_diff", "max_abs_diff"},
    {"mean_diff", "mean_abs_diff"},
    {"rel_diff", "max_rel_diff"},
    {"brier_score", "brier"},
    {"top_accuracy", "topk_accuracy"},
    {"peak_memory", "memory"},
};

const MetricInfo* find(std::string_view name) {
  for (const auto& [alias, meant] : aliases) {
    if (name == alias) name = meant;
  }
  const auto found =
      std::find_if(metrics_table.begin(), metrics_table.end(), [&](const auto& m) { return name == m.name; });
  return found == metrics_table.end() ? nullptr : &*found;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool any_of(std::string_view name, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* each) { return name == each; });
}

// "top5_accuracy": k, and the name without it.
std::optional<std::int64_t> top_of(std::string_view name) {
  constexpr std::string_view start = "top", end = "_accuracy";
  if (!name.starts_with(start) || !name.ends_with(end) || name.size() <= start.size() + end.size()) return std::nullopt;
  return parse_int64(name.substr(start.size(), name.size() - start.size() - end.size()));
}

void select(MetricName& metric, std::string_view selector) {
  const std::string_view name = metric.info->name;
  const std::size_t equals = selector.find('=');
  std::string key = lowercase(trim(selector.substr(0, equals)));
  std::string value(equals == std::string_view::npos ? std::string_view() : trim(selector.substr(equals + 1)));
  if (equals == std::string_view::npos) {
    value = key;
    if (any_of(key, {"micro", "macro", "weighted", "binary"})) key = "average";
    if (any_of(key, {"p50", "p90", "p95", "p99", "min", "mean", "median"})) key = "percentile";
  }
  const bool by_class = any_of(name, {"precision", "recall", "f1", "auc", "average_precision"});
  if (key == "class" && by_class && !value.empty()) {
    if (value.size() >= 2 && (value[0] == '\'' || value[0] == '"') && value.back() == value[0]) {
      value = value.substr(1, value.size() - 2);
    }
    metric.label = value;
  } else if (key == "class" && name == "accuracy") {
    usage_error("accuracy of one class is its recall: recall[{}]", selector);
  } else if (key == "average" && by_class) {
    const auto how = lowercase(value);
    metric.average = how == "micro"      ? Average::micro
                     : how == "macro"    ? Average::macro
                     : how == "weighted" ? Average::weighted
                     : how == "binary"   ? Average::binary
                                         : Average::automatic;
    const bool ranks = any_of(name, {"auc", "average_precision"});
    if (metric.average == Average::automatic || (ranks && metric.average == Average::micro)) {
      usage_error("{} has no average {}", name, quote(value));
    }
  } else if (key == "k" && name == "topk_accuracy") {
    const auto k = parse_int64(value);
    if (!k || *k < 1) usage_error("topk_accuracy: k is a number from 1, not {}", quote(value));
    metric.k = *k;
  } else if (key == "percentile" && name == "latency") {
    metric.percentile = lowercase(value);
    if (metric.percentile == "median") metric.percentile = "p50";
    if (!any_of(metric.percentile, {"p50", "p90", "p95", "p99", "min", "mean"})) {
      usage_error("latency has p50, p90, p95, p99, min and mean, not {}", quote(value));
    }
  } else if (key == "output" && metric.info->against_baseline && name.find("flips") == std::string_view::npos &&
             !value.empty()) {
    metric.output = value;
  } else {
    usage_error("{} takes no [{}]", name, printable(selector));
  }
  if (!metric.label.empty() && metric.average != Average::automatic) {
    usage_error("{}: either one class or an average over classes", name);
  }
}

// What is written in front of the operator.
struct Left {
  std::string_view metric;  // with brackets
  std::string_view quantity;
};

std::optional<double> count_factor(std::string_view unit) {
  if (unit.empty()) return 1.0;
  if (unit == "k" || unit == "K") return 1e3;
  if (unit == "M") return 1e6;
  if (unit == "G" || unit == "B") return 1e9;
  return std::nullopt;
}

std::optional<double> seconds_factor(std::string_view unit) {
  if (unit == "s") return 1.0;
  if (unit == "ms") return 1e-3;
  if (unit == "us" || unit == "µs") return 1e-6;
  if (unit == "ns") return 1e-9;
  return std::nullopt;
}

const char* quantity_name(Quantity quantity) {
  switch (quantity) {
    case Quantity::value:
      return "value";
    case Quantity::drop:
      return "drop";
    case Quantity::rise:
      return "rise";
    case Quantity::change:
      return "change";
    case Quantity::ratio:
      return "ratio";
  }
  return "";
}

// The number and its unit, in the terms of the metric.
void read_threshold(Gate& gate, std::string_view text) {
  const std::string name = gate.metric.text();
  const Unit unit = gate.metric.info->unit;
  const std::string_view number_characters = "0123456789.+-";
  std::size_t end = 0;
  while (end < text.size()) {
    const bool exponent = (text[end] == 'e' || text[end] == 'E') && end + 1 < text.size() &&
                          number_characters.find(text[end + 1]) != std::string_view::npos;
    if (!exponent && number_characters.find(text[end]) == std::string_view::npos) break;
    ++end;
  }
  const std::string_view digits = text.substr(0, end), suffix = trim(text.substr(end));
  const auto number = parse_double(digits);
  if (!number || !std::isfinite(*number)) usage_error("{} is no number", quote(text));
  const double value = *number;
  const bool own_value = gate.quantity == Quantity::value;
  const bool may_be_negative = own_value && any_of(gate.metric.info->name, {"mcc", "r2", "cosine", "sqnr"});
  if (value < 0 && !may_be_negative) {
    usage_error("{}: {} is never below 0{}", quote(digits), own_value ? name : quantity_name(gate.quantity),
                gate.quantity == Quantity::drop   ? " (a rise is the other direction)"
                : gate.quantity == Quantity::rise ? " (a drop is the other direction)"
                                                  : "");
  }
  gate.threshold = value;

  if (gate.quantity == Quantity::ratio) {
    if (suffix == "%") {
      gate.threshold = value / 100;
    } else if (!suffix.empty() && suffix != "x") {
      usage_error("a ratio has no unit {} (25%, 0.25 or 0.25x)", quote(suffix));
    }
    return;
  }
  if (!own_value && (suffix == "%rel" || (suffix == "%" && unit != Unit::share))) {
    gate.threshold = value / 100;
    gate.relative = true;
    return;
  }
  switch (unit) {
    case Unit::share:
      if (own_value) {
        if (suffix == "pp") usage_error("pp is for a drop, rise or change; {} itself is in %", name);
        if (!suffix.empty() && suffix != "%") usage_error("{} is in % or a fraction, not in {}", name, quote(suffix));
        if (suffix == "%") gate.threshold = value / 100;
        if (gate.threshold > 1) {
          usage_error("{} lies between 0 and 1{}", name,
                      suffix.empty() && value <= 100 ? fmt::format(": {}%?", value) : "");
        }
      } else {
        if (suffix == "%") {
          usage_error("{}% of what? Say {}pp for percentage points, {}%rel for a share of the baseline", value, value,
                      value);
        }
        if (!suffix.empty() && suffix != "pp")
          usage_error("a {} of {} is in pp or %rel, not in {}", quantity_name(gate.quantity), name, quote(suffix));
        if (suffix == "pp") gate.threshold = value / 100;
        // A fraction above a tenth was hardly meant as ten points and more.
        constexpr double largest_fraction = 0.1;
        if (suffix.empty() && value > largest_fraction) {
          usage_error("{} would be {:.4g} percentage points: say {}pp or {:.4g}pp", value, 100 * value, value,
                      100 * value);
        }
      }
      return;
    case Unit::bytes: {
      const auto bytes = parse_size(fmt::format("{}{}", digits, suffix));
      if (!bytes) usage_error("{} is no size (200KB, 4MB, 1.5MiB)", quote(text));
      gate.threshold = static_cast<double>(*bytes);
      return;
    }
    case Unit::count: {
      const auto factor = count_factor(suffix);
      if (!factor)
        usage_error("{} is counted: a number, with k, M or G for 1e3, 1e6 or 1e9, not {}", name, quote(suffix));
      gate.threshold = value * *factor;
      return;
    }
    case Unit::seconds: {
      const auto factor = seconds_factor(suffix);
      if (!factor) usage_error("{} takes a time with its unit (5ms, 300us, 1.2s), not {}", name, quote(text));
      gate.threshold = value * *factor;
      return;
    }
    case Unit::decibel:
      if (!suffix.empty() && lowercase(suffix) != "db") usage_error("{} is in dB, not in {}", name, quote(suffix));
      return;
    case Unit::number:
      if (!suffix.empty()) usage_error("{} has no unit {}", name, quote(suffix));
      return;
  }
}

// What can only have been meant otherwise.
void check_direction(const Gate& gate) {
  const Better better = gate.metric.info->better;
  const std::string name = gate.metric.text();
  if (gate.quantity == Quantity::value) return;
  if (gate.metric.info->against_baseline) {
    usage_error("{} compares with the baseline already: leave out {}", name, quantity_name(gate.quantity));
  }
  const bool limits = gate.op == Operator::less_equal || gate.op == Operator::less;
  const bool demands = gate.op == Operator::greater_equal || gate.op == Operator::greater;
  const bool worse = (gate.quantity == Quantity::drop && better == Better::higher) ||
                     (gate.quantity == Quantity::rise && better == Better::lower);
  const bool good = (gate.quantity == Quantity::drop && better == Better::lower) ||
                    (gate.quantity == Quantity::rise && better == Better::higher);
  if (worse && demands)
    usage_error("this demands that {} gets worse: {} {} <= was meant?", name, name, quantity_name(gate.quantity));
  if (good && limits) {
    usage_error("this forbids {} to get better: {} {} <= was meant?", name, name,
                gate.quantity == Quantity::drop ? "rise" : "drop");
  }
}

}  // namespace

std::span<const MetricInfo> known_metrics() { return metrics_table; }

std::string MetricName::text() const {
  std::vector<std::string> selectors;
  if (!label.empty()) selectors.push_back("class=" + printable(label));
  if (average == Average::micro) selectors.emplace_back("micro");
  if (average == Average::macro) selectors.emplace_back("macro");
  if (average == Average::weighted) selectors.emplace_back("weighted");
  if (average == Average::binary) selectors.emplace_back("binary");
  if (!percentile.empty()) selectors.push_back(percentile);
  if (!output.empty()) selectors.push_back("output=" + printable(output));
  if (info->name == std::string_view("topk_accuracy")) return fmt::format("top{}_accuracy", k);
  return selectors.empty() ? info->name : fmt::format("{}[{}]", info->name, join(selectors, ","));
}

MetricName parse_metric(std::string_view text) {
  text = trim(text);
  const std::size_t bracket = text.find('[');
  std::string name = lowercase(trim(text.substr(0, bracket)));
  std::replace(name.begin(), name.end(), '-', '_');
  MetricName metric;
  if (const auto k = top_of(name)) {
    if (*k < 1) usage_error("{}: k is a number from 1", name);
    metric.k = *k;
    name = "topk_accuracy";
  }
  metric.info = find(name);
  if (!metric.info) {
    std::vector<std::string> names;
    for (const MetricInfo& info : metrics_table) names.emplace_back(info.name);
    for (const auto& [alias, meant] : aliases) names.emplace_back(alias);
    const std::string close = nearest(name, names);
    usage_error("unknown metric {}{}", quote(name),
                close.empty() ? fmt::format("; there are {}", join(std::span(names).first(metrics_table.size()), ", "))
                              : fmt::format(" (did you mean {}?)", quote(close)));
  }
  if (bracket == std::string_view::npos) return metric;
  if (!text.ends_with(']')) usage_error("metric {}: no ']' at its end", quote(text));
  for (const std::string_view selector : split(text.substr(bracket + 1, text.size() - bracket - 2), ',')) {
    select(metric, trim(selector));
  }
  return metric;
}

Gate parse_gate(std::string_view text) {
  Gate gate;
  gate.text = trim(text);
  return in_context([&] { return fmt::format("gate {}", quote(text)); },
                    [&]() -> Gate {
                      const std::string_view whole = trim(text);
                      constexpr const char* form =
                          "a gate is METRIC OP VALUE or METRIC drop|rise|change|ratio OP VALUE";
                      // The metric ends with its brackets or name; a class may hold any character.
                      std::size_t at = 0;
                      while (at < whole.size() && is_name_character(whole[at])) ++at;
                      if (at == 0) usage_error("{}", form);
                      if (at < whole.size() && whole[at] == '[') {
                        at = whole.find(']', at);
                        if (at == std::string_view::npos) usage_error("no ']' after the metric");
                        ++at;
                      }
                      gate.metric = parse_metric(whole.substr(0, at));
                      std::string_view rest = trim(whole.substr(at));
                      std::size_t letters = 0;
                      while (letters < rest.size() && is_name_character(rest[letters])) ++letters;
                      if (letters > 0) {
                        const std::string word = lowercase(rest.substr(0, letters));
                        if (any_of(word, {"drop", "decrease", "reduction"}))
                          gate.quantity = Quantity::drop;
                        else if (any_of(word, {"rise", "increase", "growth"}))
                          gate.quantity = Quantity::rise;
                        else if (word == "change")
                          gate.quantity = Quantity::change;
                        else if (word == "ratio")
                          gate.quantity = Quantity::ratio;
                        else
                          usage_error("{} after the metric: drop, rise, change and ratio are known", quote(word));
                        rest = trim(rest.substr(letters));
                      }
                      constexpr std::pair<std::string_view, Operator> operators[] = {
                          {">=", Operator::greater_equal}, {"<=", Operator::less_equal}, {"==", Operator::equal},
                          {"!=", Operator::not_equal},     {">", Operator::greater},     {"<", Operator::less}};
                      const auto found = std::find_if(std::begin(operators), std::end(operators),
                                                      [&](const auto& each) { return rest.starts_with(each.first); });
                      if (found == std::end(operators))
                        usage_error("no operator (>= > <= < == !=) after the metric: {}", form);
                      gate.op = found->second;
                      rest = trim(rest.substr(found->first.size()));
                      if (rest.empty()) usage_error("no value after the operator: {}", form);
                      read_threshold(gate, rest);
                      check_direction(gate);
                      return gate;
                    });
}

}  // namespace hone::metrics
