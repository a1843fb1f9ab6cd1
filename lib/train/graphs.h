// The graphs that training runs: the model with a loss and gradients, and the model with the loss alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hone/autodiff/gradient.h"
#include "hone/data/dataset.h"
#include "hone/ir/model.h"
#include "hone/train/finetune.h"
#include "hone/train/weights.h"

namespace hone::train {

// Before it, operators broadcast by attributes, and BatchNormalization and Dropout mean something else.
constexpr std::int64_t least_opset = 7;

enum class Loss { cross_entropy, binary_cross_entropy, mse, l1, huber };
std::string_view name(Loss loss);
inline bool is_classification(Loss loss) { return loss == Loss::cross_entropy || loss == Loss::binary_cross_entropy; }

// What the model predicts and how it is compared with the label.
struct Task {
  Loss loss = Loss::mse;
  std::string output;           // the graph output
  std::int64_t classes = 0;     // cross-entropy, where the model says; 0: not known
  std::int64_t class_axis = 1;  // of the predictions
  bool probabilities = false;   // cross-entropy against probabilities, not class numbers
  std::vector<double> weights;  // of classes; empty: none
};
// Raises usage or bad_input where labels and model don't fit.
Task choose_task(const ir::Model& model, const data::Dataset& data, const FinetuneOptions& options);
// Labels of these rows as the loss takes them.
ir::Tensor targets(const Task& task, const data::Dataset& data, std::span<const std::int64_t> rows);

struct Graphs {
  ir::Model training, evaluation;
  // Inputs beside the model's own. `step` is "" where nothing is random.
  std::string target, step;
  std::vector<Weight> trained;              // in the order of `gradients`
  std::vector<std::string> gradients;       // outputs of `training`
  std::vector<Weight> statistics;           // running means and variances ...
  std::vector<std::string> new_statistics;  // ... and the outputs of `training` that hold their next values
  // Outputs of both: the loss and what it is computed from.
  std::string loss, predictions;
  std::int64_t added_dropouts = 0, kept_dropouts = 0;
};
// `fixed_batch`: rows the model insists on, 0 if any number.
Graphs build_graphs(const ir::Model& model, const Task& task, const FinetuneOptions& options, std::int64_t fixed_batch);
std::vector<autodiff::Obstacle> find_obstacles(const ir::Model& model, const Task& task,
                                               const FinetuneOptions& options);

}  // namespace hone::train
