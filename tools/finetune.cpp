// hone finetune: train or retrain a model on labelled data.
#include "hone/train/finetune.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <optional>

#include "common.h"
#include "data_options.h"
#include "hone/report/metrics_log.h"
#include "hone/report/tensorboard.h"
#include "hone/support/error.h"
#include "hone/train/initialize.h"

namespace hone::tools {
namespace {

struct FinetuneFlags {
  ModelInOut files;
  DataOptions data;
  train::FinetuneOptions train;
  std::vector<std::string> validation_data;
  std::string schedule, metrics, tensorboard;
  double learning_rate = 0, dropout = -1;
  bool check = false;
};

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

// The logs that grow while training runs. When it is resumed, lines of before stay; those of an epoch that is done again go.
struct Logs {
  std::optional<report::MetricsLog> metrics;
  std::optional<report::EventWriter> events;
  std::string resumed;  // the file whose lines have to be looked through once the first new epoch is known

  explicit Logs(const FinetuneFlags& options) {
    if (!options.metrics.empty()) {
      if (options.train.resume) resumed = options.metrics;
      options.train.resume ? metrics.emplace(options.metrics, std::numeric_limits<std::int64_t>::max())
                           : metrics.emplace(options.metrics);
    }
    if (!options.tensorboard.empty()) events.emplace(options.tensorboard);
  }
  void write(const train::EpochReport& epoch) {
    if (!resumed.empty()) metrics.emplace(resumed, static_cast<std::int64_t>(epoch.step));
    resumed.clear();
    std::vector<std::pair<std::string, double>> values{
        {"epoch", static_cast<double>(epoch.epoch)}, {"learning_rate", epoch.rate}, {"train/loss", epoch.train_loss}};
    if (epoch.train_accuracy) values.emplace_back("train/accuracy", *epoch.train_accuracy);
    if (epoch.validation_loss) values.emplace_back("validation/loss", *epoch.validation_loss);
    if (epoch.validation_accuracy) values.emplace_back("validation/accuracy", *epoch.validation_accuracy);
    if (metrics) metrics->write(static_cast<std::int64_t>(epoch.step), values);
    if (events) {
      for (const auto& [tag, value] : values) events->scalar(tag, static_cast<std::int64_t>(epoch.step), value);
    }
  }
};

std::string describe(const train::EpochReport& epoch) {
  std::string text = fmt::format("loss {:.4f}", epoch.train_loss);
  if (epoch.train_accuracy) text += fmt::format("  accuracy {:.2f} %", *epoch.train_accuracy * 100);
  if (epoch.validation_loss) text += fmt::format("  validation loss {:.4f}", *epoch.validation_loss);
  if (epoch.validation_accuracy) text += fmt::format("  accuracy {:.2f} %", *epoch.validation_accuracy * 100);
  return text;
}

Json describe(const train::FinetuneResult& result) {
  Json epochs = Json::array(), sparsity = Json::array();
  for (const train::EpochReport& epoch : result.epochs) {
    epochs.push_back({{"epoch", epoch.epoch},
                      {"step", epoch.step},
                      {"learning_rate", epoch.rate},
                      {"train_loss", number(epoch.train_loss)},
                      {"train_accuracy", number(epoch.train_accuracy)},
                      {"validation_loss", number(epoch.validation_loss)},
                      {"validation_accuracy", number(epoch.validation_accuracy)}});
  }
  for (const train::Sparsity& each : result.sparsity) {
    sparsity.push_back({{"weight", each.weight},
                        {"elements", each.elements},
                        {"zeros_before", each.zeros_before},
                        {"zeros_after", each.zeros_after},
                        {"kept", each.kept}});
  }
  return {{"loss", result.loss},
          {"learning_rate", result.learning_rate},
          {"steps", result.steps},
          {"rows", {{"training", result.training_rows}, {"validation", result.validation_rows}}},
          {"trained", {{"weights", result.trained_weights}, {"parameters", result.trained_parameters}}},
          {"best_epoch", result.best_epoch},
          {"stopped_early", result.stopped_early},
          {"resumed", result.resumed},
          {"seconds", result.seconds},
          {"epochs", std::move(epochs)},
          {"sparsity", std::move(sparsity)}};
}

void run(FinetuneFlags& options, Common& common) {
  common.apply();
  train::FinetuneOptions& train = options.train;
  if (!options.data.given() || options.data.label.empty()) usage_error("training needs --data FILE and --label NAME");
  if (options.learning_rate > 0) train.learning_rate = options.learning_rate;
  if (options.dropout >= 0) train.dropout = options.dropout;
  if (!options.schedule.empty()) train.schedule = train::parse_schedule(options.schedule);
  train.seed = common.seed();
  train.feed = options.data.feed();
  if (!options.validation_data.empty()) {
    train.validation =
        data::Dataset::open(options.validation_data, {.label = options.data.label, .classes = {}, .rows = {}});
  }
  const ir::Model model = options.files.read(common);
  const data::Dataset data = options.data.open();
  if (options.check) {
    const auto obstacles = train::check(model, data, train);
    if (obstacles.empty()) {
      common.say("every operator between the weights and the loss has a gradient");
      return;
    }
    std::string text;
    for (const autodiff::Obstacle& obstacle : obstacles) text += (text.empty() ? "" : "; ") + obstacle.reason;
    unsupported("{}", text);
  }
  Logs logs(options);
  train::Hooks hooks;
  hooks.epoch = [&](const train::EpochReport& epoch) {
    logs.write(epoch);
    common.observer().progress("epoch", static_cast<std::uint64_t>(epoch.epoch),
                               static_cast<std::uint64_t>(train.epochs), describe(epoch));
  };
  train::FinetuneResult result =
      in_context([&] { return "training " + options.files.input; },
                 [&] { return train::finetune(model, data, train, hooks, common.observer()); });
  options.files.record(result.model, "finetune",
                       {{"epochs", std::to_string(result.epochs.size())},
                        {"optimizer", train.optimizer.kind},
                        {"learning_rate", fmt::format("{}", result.learning_rate)},
                        {"rows", std::to_string(result.training_rows)},
                        {"seed", std::to_string(common.seed())}});
  options.files.write(result.model);
  if (!result.epochs.empty()) {
    common.say(fmt::format("{} epochs, {} steps in {:.1f} s: {}", result.epochs.size(), result.steps, result.seconds,
                           describe(result.epochs.back())));
  }
  common.write_report(
      "finetune", {{"input", options.files.input}, {"output", options.files.output}, {"training", describe(result)}});
}

std::string one_of(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

}  // namespace

void add_finetune(Command hone, Common& common) {
  auto options = std::make_shared<FinetuneFlags>();
  train::FinetuneOptions& train = options->train;
  Command command = hone.add_command("finetune", "train or retrain a model on labelled data");
  options->files.add_to(command);
  options->data.add_to(command, false);
  command.add_option("--init", train.init, "draw new weights first: " + one_of(train::initializations()));
  command.add_flag("--check", options->check, "only say whether every operator has a gradient");

  std::string group = "The loop";
  command.add_option("--epochs", train.epochs, "times through the data").positive().show_default().group(group);
  command.add_option("--batch-size", train.batch_size, "rows a step").positive().show_default().group(group);
  command.add_option("--optimizer", train.optimizer.kind, one_of(train::optimizers())).show_default().group(group);
  command.add_option("--learning-rate", options->learning_rate, "by default 1e-3, for sgd and adagrad 1e-2")
      .positive()
      .group(group);
  command.add_option("--max-steps", train.max_steps, "stop after so many steps").type_name("N").group(group);
  command.add_option("--micro-batch", train.micro_batch, "rows that go through the model at once; by default the batch")
      .positive()
      .group(group);
  command.add_option("--momentum", train.optimizer.momentum, "of sgd and rmsprop").group(group);
  command.add_option("--beta1", train.optimizer.beta1, "of adam and adamw").show_default().group(group);
  command.add_option("--beta2", train.optimizer.beta2, "of adam and adamw").show_default().group(group);
  command.add_option("--decay", train.optimizer.decay, "of rmsprop: how much of the mean square is kept")
      .show_default()
      .group(group);
  command.add_option("--epsilon", train.optimizer.epsilon, "of the adaptive optimizers").show_default().group(group);
  command.add_flag("--nesterov", train.optimizer.nesterov, "of sgd").group(group);
  command
      .add_option("--schedule", options->schedule,
                  "of the learning rate, such as cosine:warm-up=1; see docs/finetune.md")
      .group(group);
  command.add_option("--validation-split", train.validation_split, "share of the data kept for validation")
      .between(0.0, 0.9)
      .group(group);
  command.add_option("--validation-data", options->validation_data, "data for validation")
      .type_name("FILE")
      .group(group);
  command
      .add_option("--early-stopping", train.early_stopping,
                  "stop after so many epochs without a better validation result")
      .type_name("PATIENCE")
      .group(group);
  command.add_option("--monitor", train.monitor, "what is better: loss or accuracy")
      .one_of({"loss", "accuracy"})
      .group(group);
  command.add_flag("--restore-best", train.restore_best, "keep the weights of the best epoch").group(group);
  command.add_option("--average", train.average, "the result is a moving average of the weights, of this decay")
      .type_name("D")
      .group(group);
  command.add_option("--checkpoint", train.checkpoint, "written after every epoch and when interrupted")
      .type_name("FILE")
      .group(group);
  command.add_option("--checkpoint-every", train.checkpoint_every, "also after so many steps")
      .type_name("STEPS")
      .group(group);
  command.add_flag("--resume", train.resume, "go on from the checkpoint").group(group);

  group = "Loss and regularization";
  command.add_option("--loss", train.loss, "auto, cross-entropy, binary-cross-entropy, mse, l1 or huber")
      .show_default()
      .group(group);
  command.add_option("--loss-output", train.output, "the output that is compared with the label")
      .type_name("NAME")
      .group(group);
  command.add_option("--huber-delta", train.huber_delta, "where huber turns from squares to absolute values")
      .positive()
      .show_default()
      .group(group);
  command.add_option("--label-smoothing", train.label_smoothing, "share spread over the other classes").group(group);
  command.add_option("--class-weights", train.class_weights, "a weight for each class")
      .type_name("W,W,...")
      .delimiter(',')
      .group(group);
  command.add_flag("--balance-classes", train.balance_classes, "weigh classes against their frequency").group(group);
  command.add_option("--l1", train.optimizer.l1, "L1 penalty").group(group);
  command.add_option("--l2", train.optimizer.l2, "L2 penalty, in the gradient").group(group);
  command.add_option("--weight-decay", train.optimizer.weight_decay, "decoupled decay, as in adamw").group(group);
  command.add_option("--clip-norm", train.optimizer.clip_norm, "largest norm of all gradients").group(group);
  command.add_option("--clip-value", train.optimizer.clip_value, "largest number in a gradient").group(group);
  command
      .add_option("--dropout", options->dropout,
                  "rate of every Dropout; inserted behind hidden layers where there is none")
      .between(0.0, 0.99)
      .group(group);
  command.add_option("--dropout-after", train.dropout_after, "insert Dropout behind nodes or values that match")
      .type_name("REGEX")
      .group(group);

  group = "Weights";
  command.add_option("--freeze", train.freeze, "weights that stay as they are").type_name("REGEX").group(group);
  command.add_option("--keep-sparsity", train.keep_sparsity, "zeros of pruned weights stay zero: auto, on, off")
      .one_of({"auto", "on", "off"})
      .group(group);
  command.add_option("--batch-norm", train.batch_norm, "auto, train, frozen")
      .one_of({"auto", "train", "frozen"})
      .group(group);

  group = "Logs";
  command.add_option("--metrics", options->metrics, "a JSON line an epoch").type_name("FILE").group(group);
  command.add_option("--tensorboard", options->tensorboard, "event files for TensorBoard")
      .type_name("DIR")
      .group(group);
  common.add_to(command);
  command.footer("Example: hone finetune pruned.onnx --data train.npz --label y --epochs 5 -o tuned.onnx");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
