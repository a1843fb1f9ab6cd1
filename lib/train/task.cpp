// What a model is trained for: the loss, and labels as it takes them.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "hone/support/text.h"
#include "train/graphs.h"
#include "train/head.h"

namespace hone::train {
namespace {

constexpr std::string_view loss_names[] = {"cross-entropy", "binary-cross-entropy", "mse", "l1", "huber"};

const ir::Value& find_output(const ir::Model& model, const std::string& name) {
  const auto outputs = model.graph->outputs();
  if (name.empty()) {
    for (const ir::Value* each : outputs) {
      if (each->element_type() == ir::ElementType::float32 || each->element_type() == ir::ElementType::undefined)
        return *each;
    }
    bad_input("the model has no output of type float to train");
  }
  std::vector<std::string> names;
  for (const ir::Value* each : outputs) {
    if (each->name() == name) return *each;
    names.push_back(each->name());
  }
  usage_error("the model has no output {}; it has {}", quote(name), join(names, ", "));
}

std::int64_t per_row(const ir::Dims& dims) {
  return std::accumulate(dims.begin() + (dims.empty() ? 0 : 1), dims.end(), std::int64_t{1}, std::multiplies<>());
}

// The axis of the classes: with it taken away, the predictions have the shape of the labels.
std::int64_t find_class_axis(const Head& head, const std::optional<ir::Shape>& shape, const ir::Dims& labels) {
  if (head.axis) return *head.axis;
  if (!shape || shape->size() < 3) return 1;
  const auto last = static_cast<std::int64_t>(shape->size()) - 1;
  ir::Dims without_ones;
  for (std::size_t d = 1; d < labels.size(); ++d) {
    if (labels[d] != 1) without_ones.push_back(labels[d]);
  }
  const auto fits = [&](std::int64_t axis) {
    ir::Shape rest;
    for (std::size_t d = 1; d < shape->size(); ++d) {
      if (static_cast<std::int64_t>(d) != axis && (*shape)[d].number() != 1) rest.push_back((*shape)[d]);
    }
    if (rest.size() != without_ones.size()) return false;
    for (std::size_t d = 0; d < rest.size(); ++d) {
      if (rest[d].number() && *rest[d].number() != without_ones[d]) return false;
    }
    return true;
  };
  return !fits(1) && fits(last) ? last : 1;
}

}  // namespace

std::string_view name(Loss loss) { return loss_names[static_cast<std::size_t>(loss)]; }

Task choose_task(const ir::Model& model, const data::Dataset& data, const FinetuneOptions& options) {
  const data::Array* label = data.label();
  if (!label) usage_error("training needs a label: --label NAME says which array it is");
  if (label->values.is_string()) usage_error("the label is text: it has to name classes");
  Task task;
  const ir::Value& output = find_output(model, options.output);
  task.output = output.name();
  const Head head = find_head(*const_cast<ir::Value*>(&output));

  const ir::Tensor labels = data.labels();
  const std::vector<double> values = labels.to_doubles();
  const bool integral = std::all_of(values.begin(), values.end(), [](double v) { return v == std::floor(v); });
  const bool binary = std::all_of(values.begin(), values.end(), [](double v) { return v == 0 || v == 1; });
  const bool numbers = !ir::is_float(labels.type()) || (label->from_text && integral) || !data.classes().empty();
  task.class_axis = find_class_axis(head, output.shape(), labels.dims());
  if (output.shape() && task.class_axis < static_cast<std::int64_t>(output.shape()->size())) {
    task.classes = (*output.shape())[static_cast<std::size_t>(task.class_axis)].number().value_or(0);
  }
  // One value a row: two classes at most, or a number.
  const bool single =
      output.shape() && (output.shape()->size() < 2 ||
                         ir::provably_same_shape(ir::Shape(output.shape()->begin() + 1, output.shape()->end()),
                                                 ir::Shape(output.shape()->size() - 1, 1)));

  if (options.loss == "auto") {
    if (head.kind == Head::Kind::softmax || head.kind == Head::Kind::log_softmax) {
      task.loss = Loss::cross_entropy;
    } else if (head.kind == Head::Kind::sigmoid) {
      task.loss = Loss::binary_cross_entropy;
    } else if (numbers && !single) {
      task.loss = Loss::cross_entropy;
    } else if (numbers && binary) {
      task.loss = Loss::binary_cross_entropy;
    } else {
      task.loss = Loss::mse;
    }
  } else {
    const auto* found = std::find(std::begin(loss_names), std::end(loss_names), options.loss);
    if (found == std::end(loss_names)) {
      const std::vector<std::string> names(std::begin(loss_names), std::end(loss_names));
      usage_error("no loss is called {}; there are auto, {}", quote(options.loss), join(names, ", "));
    }
    task.loss = static_cast<Loss>(found - std::begin(loss_names));
  }

  if (task.loss == Loss::cross_entropy) {
    // As many labels as predictions: a probability for each class.
    task.probabilities = task.classes > 1 && per_row(labels.dims()) > 1 && output.shape() &&
                         static_dims(ir::Shape(output.shape()->begin() + 1, output.shape()->end())) &&
                         *element_count(ir::Shape(output.shape()->begin() + 1, output.shape()->end())).number() ==
                             per_row(labels.dims());
    if (!task.probabilities) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto row = static_cast<std::int64_t>(i) / std::max<std::int64_t>(per_row(labels.dims()), 1);
        if (values[i] != std::floor(values[i])) {
          bad_input("{}: row {}: label {} is no class number", data.source(), data.source_row(row), values[i]);
        }
        if (values[i] == -100) continue;  // places that don't count
        if (values[i] < 0 || (task.classes > 0 && values[i] >= static_cast<double>(task.classes))) {
          bad_input("{}: row {}: label {} where the model's output {} has {} classes, 0 to {}", data.source(),
                    data.source_row(row), values[i], quote(task.output), task.classes, task.classes - 1);
        }
      }
    }
  } else if (task.loss == Loss::binary_cross_entropy) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] >= 0 && values[i] <= 1) continue;
      const auto row = static_cast<std::int64_t>(i) / std::max<std::int64_t>(per_row(labels.dims()), 1);
      bad_input("{}: row {}: label {} is not between 0 and 1", data.source(), data.source_row(row), values[i]);
    }
  }

  const std::int64_t classes = task.loss == Loss::binary_cross_entropy ? 2 : task.classes;
  if (!options.class_weights.empty() || options.balance_classes) {
    if (!is_classification(task.loss) || task.probabilities) usage_error("class weights need a label that is a class");
    if (classes < 1) usage_error("class weights need a model whose number of classes is known");
  }
  if (!options.class_weights.empty()) {
    if (static_cast<std::int64_t>(options.class_weights.size()) != classes) {
      usage_error("{} class weights for {} classes", options.class_weights.size(), classes);
    }
    task.weights = options.class_weights;
  } else if (options.balance_classes) {
    std::vector<double> counts(static_cast<std::size_t>(classes), 0.0);
    double all = 0;
    for (const double value : values) {
      if (value < 0) continue;
      ++counts[static_cast<std::size_t>(std::lround(value))];
      ++all;
    }
    // Every class weighs the same in sum; one without rows keeps a weight that never counts.
    for (const double count : counts)
      task.weights.push_back(count > 0 ? all / (static_cast<double>(classes) * count) : 1);
  }
  return task;
}

ir::Tensor targets(const Task& task, const data::Dataset& data, std::span<const std::int64_t> rows) {
  const ir::Tensor labels = data.labels(rows);
  if (task.loss == Loss::cross_entropy && !task.probabilities) {
    if (!ir::is_float(labels.type())) return ir::Tensor::of<std::int64_t>(labels.dims(), labels.to_ints());
    const std::vector<double> values = labels.to_doubles();
    std::vector<std::int64_t> numbers(values.size());
    std::transform(values.begin(), values.end(), numbers.begin(), [](double v) { return std::llround(v); });
    return ir::Tensor::of<std::int64_t>(labels.dims(), numbers);
  }
  if (labels.type() == ir::ElementType::float32) return labels.loaded();
  return ir::Tensor::of<float>(labels.dims(), labels.to_floats());
}

}  // namespace hone::train
