// Training a model on labelled data, from its present weights or from new ones.
//
//   data::Dataset data = data::Dataset::open("train.npz", {.label = "y"});
//   train::FinetuneOptions options;
//   options.epochs = 20;
//   train::FinetuneResult result = train::finetune(model, data, options);
//   onnx::write(result.model, "trained.onnx");
//
// The result is the model that was given with other weights: names, operators and metadata are unchanged. The same model,
// data, options and thread count give the same bits, also when training is interrupted and resumed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hone/autodiff/gradient.h"
#include "hone/data/dataset.h"
#include "hone/data/feed.h"
#include "hone/ir/model.h"
#include "hone/support/observer.h"
#include "hone/train/optimizer.h"
#include "hone/train/schedule.h"

namespace hone::train {

struct FinetuneOptions {
  // ---- what is learned
  // auto, cross-entropy, binary-cross-entropy, mse, l1 or huber. auto: what the end of the model and the labels ask for
  // (see docs/finetune.md). A Softmax or Sigmoid at the end is left out while training: the loss starts from logits.
  std::string loss = "auto";
  std::string output = {};  // the graph output that is compared with the label; empty: the first
  double label_smoothing = 0;
  double huber_delta = 1;
  std::vector<double> class_weights = {};
  bool balance_classes = false;  // class weights that make up for the classes' frequencies

  // ---- data
  std::int64_t batch_size = 64;
  std::int64_t micro_batch = 0;  // rows that go through the model at once; 0: the batch
  std::optional<data::Dataset> validation = {};
  double validation_split = 0;  // a share of the data kept for validation instead
  data::FeedOptions feed = {};

  // ---- the loop
  std::int64_t epochs = 10;
  std::uint64_t max_steps = 0;  // 0: as the epochs say
  OptimizerOptions optimizer = {};
  std::optional<double> learning_rate = {};  // default_rate() of the optimizer
  ScheduleOptions schedule = {};
  std::int64_t early_stopping = 0;  // epochs without a better validation result; 0: never stop early
  std::string monitor = "loss";     // what is better: loss or accuracy
  bool restore_best = false;        // the weights of the best epoch (always with early stopping)
  std::uint64_t seed = 0;

  // ---- regularization that is not the optimizer's
  std::optional<double> dropout = {};  // of every Dropout; where there is none, after hidden layers
  std::string dropout_after = {};      // regex of nodes or values: Dropout there
  double average = 0;                  // decay of an exponential moving average that becomes the result; 0: none

  // ---- weights
  std::string init = {};                 // a scheme of initialize.h: start anew
  std::vector<std::string> freeze = {};  // regexes of weights that stay
  std::string keep_sparsity = "auto";  // on: zeros of matrices stay zero; auto: where there are more than chance leaves
  std::string batch_norm = "auto";     // train, frozen; auto: train unless the batch is one row

  // ---- interruption
  std::string checkpoint = {};         // a file, written after every epoch and on SIGINT or SIGTERM
  std::uint64_t checkpoint_every = 0;  // steps; 0: epochs
  bool resume = false;                 // go on from the checkpoint, if it exists

  bool reference = false;  // reference kernels only
};

struct StepReport {
  std::int64_t epoch = 0;
  std::uint64_t step = 0;
  double loss = 0, rate = 0, gradient_norm = 0;
};

struct EpochReport {
  std::int64_t epoch = 0;  // from 1
  std::uint64_t step = 0;  // steps so far
  double rate = 0, train_loss = 0, seconds = 0;
  std::optional<double> train_accuracy, validation_loss, validation_accuracy;
  bool best = false;
};

// What was done with the zeros of a matrix.
struct Sparsity {
  std::string weight;
  std::int64_t elements = 0, zeros_before = 0, zeros_after = 0;
  bool kept = false;
};

// Hooks into the loop; all may be empty.
struct Hooks {
  std::function<void(const StepReport&)> step;
  std::function<void(const EpochReport&)> epoch;
  // After the optimizer's step: the weights may be changed in place (masks, fake quantization).
  std::function<void(std::uint64_t step, std::span<const Parameter> weights)> updated;
};

struct FinetuneResult {
  ir::Model model;
  std::string loss;  // the one that was used
  double learning_rate = 0;
  std::uint64_t steps = 0;
  std::int64_t training_rows = 0, validation_rows = 0;
  std::int64_t trained_weights = 0, trained_parameters = 0;
  std::vector<EpochReport> epochs;
  std::int64_t best_epoch = 0;  // 0: no validation
  bool stopped_early = false;
  bool resumed = false;
  std::vector<Sparsity> sparsity;
  double seconds = 0;
};

// Raises usage, bad_input (data that don't fit the model, a label out of range; a loss that is no number), unsupported
// (operators without gradient, all of them named, before the first step), interrupted (after the checkpoint was written).
FinetuneResult finetune(const ir::Model& model, const data::Dataset& data, const FinetuneOptions& options = {},
                        const Hooks& hooks = {}, Observer& observer = silent());

// What stands in the way of training this model: the nodes without gradient.
std::vector<autodiff::Obstacle> check(const ir::Model& model, const data::Dataset& data,
                                      const FinetuneOptions& options = {});

}  // namespace hone::train
