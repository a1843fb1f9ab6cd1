#include "hone/train/finetune.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "hone/exec/session.h"
#include "hone/passes/convert_opset.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"
#include "hone/train/initialize.h"
#include "train/checkpoint.h"
#include "train/graphs.h"
#include "train/masks.h"

namespace hone::train {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

// Rows of a validation batch: enough to fill the kernels, few enough to fit beside the training graph's memory.
constexpr std::int64_t validation_batch = 256;

struct Scores {
  double loss = 0;  // summed over rows
  std::int64_t rows = 0, correct = 0, counted = 0;
  double mean() const { return rows > 0 ? loss / static_cast<double>(rows) : 0; }
  std::optional<double> accuracy() const {
    return counted > 0 ? std::optional(static_cast<double>(correct) / static_cast<double>(counted)) : std::nullopt;
  }
};

// Adds what of the predictions is right.
void count_correct(const Task& task, const ir::Tensor& predictions, const ir::Tensor& target, Scores& scores) {
  if (!is_classification(task.loss)) return;
  const auto x = predictions.data<float>();
  if (task.loss == Loss::binary_cross_entropy) {
    const auto t = target.data<float>();
    for (std::size_t i = 0; i < t.size() && i < x.size(); ++i) scores.correct += (x[i] > 0) == (t[i] > 0.5F) ? 1 : 0;
    scores.counted += static_cast<std::int64_t>(t.size());
    return;
  }
  const ir::Dims& dims = predictions.dims();
  const auto axis = static_cast<std::size_t>(dims.size() > 1 ? task.class_axis : 0);
  std::size_t inner = 1, outer = 1;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (d < axis) outer *= static_cast<std::size_t>(dims[d]);
    if (d > axis) inner *= static_cast<std::size_t>(dims[d]);
  }
  const auto classes = static_cast<std::size_t>(dims[axis]);
  const auto largest = [&](std::span<const float> values, std::size_t start) {
    std::size_t best = 0;
    for (std::size_t c = 1; c < classes; ++c) {
      if (values[start + c * inner] > values[start + best * inner]) best = c;
    }
    return best;
  };
  for (std::size_t place = 0; place < outer * inner; ++place) {
    const std::size_t start = place / inner * classes * inner + place % inner;
    std::int64_t wanted = 0;
    if (task.probabilities) {
      wanted = static_cast<std::int64_t>(largest(target.data<float>(), start));
    } else {
      wanted = target.data<std::int64_t>()[place];
      if (wanted < 0) continue;
    }
    ++scores.counted;
    if (static_cast<std::int64_t>(largest(x, start)) == wanted) ++scores.correct;
  }
}

std::vector<float> copy_of(const ir::Tensor& tensor) {
  const auto values = tensor.data<float>();
  return {values.begin(), values.end()};
}

ir::Tensor tensor_of(const ir::Dims& dims, const std::vector<float>& values) {
  return ir::Tensor::of<float>(dims, values);
}

// All weights and running statistics at one moment.
using Snapshot = std::vector<std::vector<float>>;

class Trainer {
 public:
  Trainer(const ir::Model& model, const data::Dataset& data, const FinetuneOptions& options, const Hooks& hooks,
          Observer& observer)
      : original_(model), options_(options), hooks_(hooks), observer_(observer) {
    check_options();
    split(data);
    start_ = model.clone();
    if (!options_.init.empty()) {
      initialize(start_, options_.init, options_.seed);
    } else {
      refuse_empty();
    }
    task_ = choose_task(start_, training_, options_);
    if (validation_) choose_task(start_, *validation_, options_);  // its labels are checked, too
    if (validation_ && options_.monitor == "accuracy" && !is_classification(task_.loss))
      usage_error("accuracy can't be watched: the model is no classifier");
    const std::vector<data::ModelInput> inputs = data::model_inputs(*start_.graph);
    feed_ = std::make_unique<data::Feed>(training_, inputs, options_.feed);
    fixed_batch_ = feed_->fixed_batch().value_or(0);
    if (validation_) validation_feed_ = std::make_unique<data::Feed>(*validation_, inputs, options_.feed);
    graphs_ = build_graphs(start_, task_, options_, fixed_batch_);
    open_sessions();
    make_parameters();
    cut_epochs();
    rate_ = options_.learning_rate.value_or(default_rate(options_.optimizer.kind));
    if (!(rate_ > 0) || !std::isfinite(rate_)) usage_error("a learning rate of {} is not above 0", rate_);
    schedule_ = std::make_unique<Schedule>(options_.schedule, rate_, steps_per_epoch_,
                                           static_cast<std::uint64_t>(options_.epochs));
  }

  FinetuneResult run() {
    began_ = Clock::now();
    if (options_.resume) resume();
    while (epoch_ < options_.epochs && !stopped_early_ && !at_last_step()) run_epoch();
    return finish();
  }

 private:
  // ---- setting up
  void check_options() const {
    if (options_.batch_size < 1) usage_error("a batch of {} rows", options_.batch_size);
    if (options_.micro_batch < 0 || options_.epochs < 0) usage_error("a negative count of rows or epochs");
    if (!(options_.validation_split >= 0 && options_.validation_split < 1)) {
      usage_error("a validation split of {} is not at least 0 and below 1", options_.validation_split);
    }
    if (options_.validation && options_.validation_split > 0)
      usage_error("validation data and a validation split exclude each other");
    const bool validates = options_.validation || options_.validation_split > 0;
    if (options_.early_stopping > 0 && !validates)
      usage_error("early stopping needs validation data or a validation split");
    if (options_.restore_best && !validates)
      usage_error("the best epoch is known from validation data or a validation split only");
    if (options_.monitor != "loss" && options_.monitor != "accuracy") {
      usage_error("what is watched is loss or accuracy, not {}", hone::quote(options_.monitor));
    }
    if (options_.keep_sparsity != "auto" && options_.keep_sparsity != "on" && options_.keep_sparsity != "off") {
      usage_error("keeping sparsity is auto, on or off, not {}", hone::quote(options_.keep_sparsity));
    }
    if (!(options_.average >= 0 && options_.average < 1))
      usage_error("the decay of an average is at least 0 and below 1");
    if (options_.resume && options_.checkpoint.empty()) usage_error("resuming needs the name of a checkpoint");
  }

  void split(const data::Dataset& data) {
    if (data.rows() == 0) bad_input("{}: no rows", data.source());
    if (options_.validation) {
      training_ = data;
      validation_ = options_.validation;
    } else if (options_.validation_split > 0) {
      auto [kept, held_out] = data::hold_out(data, options_.validation_split, options_.seed);
      training_ = std::move(kept);
      validation_ = std::move(held_out);
    } else {
      training_ = data;
    }
  }

  // An architecture without values can't be trained: all units of a layer would stay alike.
  void refuse_empty() const {
    const std::vector<std::string> empty = empty_matrices(start_);
    std::size_t matrices = 0;
    for (const Weight& each : find_weights(start_)) matrices += each.role == Role::matrix ? 1 : 0;
    if (matrices == 0 || empty.size() < matrices) return;
    usage_error("all weights are zeros ({} first): choose how they begin with --init, as in --init he",
                hone::quote(empty[0]));
  }

  void open_sessions() {
    for (const Weight& each : graphs_.trained) variables_.push_back(each);
    for (const Weight& each : graphs_.statistics) variables_.push_back(each);
    exec::SessionOptions session;
    session.reference = options_.reference;
    session.seed = options_.seed;
    session.training = true;
    for (const Weight& each : variables_) session.variables.push_back(each.name);
    session_ = std::make_unique<exec::Session>(graphs_.training, session);
    if (!validation_) return;
    exec::SessionOptions evaluation = session;
    std::erase_if(evaluation.variables, [&](const std::string& name) { return !graphs_.evaluation.graph->find(name); });
    evaluation_variables_ = evaluation.variables;
    evaluation_ = std::make_unique<exec::Session>(graphs_.evaluation, evaluation);
  }

  void make_parameters() {
    std::vector<Parameter> parameters;
    masks_.reserve(graphs_.trained.size());
    for (const Weight& each : graphs_.trained) {
      ir::Tensor& tensor = session_->variable(each.name);
      masks_.push_back(make_mask(tensor, each.role, options_.keep_sparsity));
      const auto values = tensor.mutable_data<float>();
      parameters.push_back({each.name, values.data(), static_cast<std::int64_t>(values.size()), is_decayed(each.role),
                            masks_.back().keep.empty() ? nullptr : masks_.back().keep.data()});
    }
    optimizer_ = std::make_unique<Optimizer>(options_.optimizer, std::move(parameters));
    if (options_.average > 0) average_ = snapshot();
  }

  void cut_epochs() {
    const std::int64_t rows = feed_->data().rows();
    batch_ = options_.batch_size;
    micro_ = fixed_batch_ > 0           ? fixed_batch_
             : options_.micro_batch > 0 ? std::min(options_.micro_batch, batch_)
                                        : batch_;
    if (fixed_batch_ > batch_) batch_ = fixed_batch_;
    if (fixed_batch_ > 1) batch_ = batch_ / fixed_batch_ * fixed_batch_;
    if (rows < micro_ && fixed_batch_ > 0) {
      bad_input("{}: {} rows where the model takes {} at once", feed_->data().source(), rows, fixed_batch_);
    }
    std::int64_t last = rows % batch_;
    // What does not fill a batch that the model insists on is left out, and a single row where statistics of a batch are.
    if (fixed_batch_ > 0) last = last / fixed_batch_ * fixed_batch_;
    if (last == 1 && rows > 1 && !graphs_.statistics.empty()) last = 0;
    rows_per_epoch_ = rows / batch_ * batch_ + last;
    steps_per_epoch_ = static_cast<std::uint64_t>((rows_per_epoch_ + batch_ - 1) / batch_);
  }

  // ---- the loop
  bool at_last_step() const { return options_.max_steps > 0 && step_ >= options_.max_steps; }

  void run_epoch() {
    const auto began = Clock::now();
    const std::vector<std::int64_t> order =
        data::shuffled(feed_->data().rows(), options_.seed, static_cast<std::uint64_t>(epoch_));
    while (batch_in_epoch_ < steps_per_epoch_ && !at_last_step()) {
      stop_if_interrupted();
      const std::int64_t begin = static_cast<std::int64_t>(batch_in_epoch_) * batch_;
      const std::int64_t end = std::min(begin + batch_, rows_per_epoch_);
      run_step(std::span(order).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
      ++batch_in_epoch_;
      if (!options_.checkpoint.empty() && options_.checkpoint_every > 0 && step_ % options_.checkpoint_every == 0)
        save();
    }
    EpochReport report;
    report.epoch = epoch_ + 1;
    report.step = step_;
    report.rate = schedule_->rate(step_ > 0 ? step_ - 1 : 0);
    report.train_loss = scores_.mean();
    report.train_accuracy = scores_.accuracy();
    if (validation_) validate(report);
    schedule_->epoch_ended(report.validation_loss.value_or(report.train_loss));
    report.seconds = std::chrono::duration<double>(Clock::now() - began).count();
    history_.push_back(report);
    scores_ = {};
    ++epoch_;
    batch_in_epoch_ = 0;
    if (!options_.checkpoint.empty()) save();
    if (hooks_.epoch) hooks_.epoch(report);
  }

  void run_step(std::span<const std::int64_t> rows) {
    const auto parts = (static_cast<std::int64_t>(rows.size()) + micro_ - 1) / micro_;
    std::vector<const float*> gradients(graphs_.trained.size());
    double loss = 0;
    for (std::int64_t part = 0; part < parts; ++part) {
      const auto begin = static_cast<std::size_t>(part * micro_);
      const auto piece = rows.subspan(begin, std::min(static_cast<std::size_t>(micro_), rows.size() - begin));
      std::vector<ir::NamedDatum> inputs = feed_->read(piece);
      ir::Tensor target = targets(task_, feed_->data(), piece);
      inputs.push_back({graphs_.target, target});
      if (!graphs_.step.empty()) {
        // Every piece of a batch has masks of its own.
        inputs.push_back({graphs_.step, ir::Tensor::scalar(static_cast<std::int64_t>(step_) * parts + part)});
      }
      const std::vector<ir::Datum>& results = session_->run_shared(inputs);
      const double piece_loss = static_cast<double>(results[0].tensor()->data<float>()[0]);
      const double share = static_cast<double>(piece.size()) / static_cast<double>(rows.size());
      loss += piece_loss * share;
      count_correct(task_, *results[1].tensor(), target, scores_);
      take_statistics(results);
      const std::size_t first = 2 + graphs_.new_statistics.size();
      for (std::size_t i = 0; i < gradients.size(); ++i) {
        gradients[i] = results[first + i].tensor()->data<float>().data();
      }
      if (parts > 1) accumulate(gradients, static_cast<float>(share), part == 0);
    }
    if (!std::isfinite(loss)) {
      bad_input(
          "the loss is {} at step {} (epoch {}): the learning rate of {} may be too high, or the data hold what is "
          "no number",
          loss, step_ + 1, epoch_ + 1, schedule_->rate(step_));
    }
    scores_.loss += loss * static_cast<double>(rows.size());
    scores_.rows += static_cast<std::int64_t>(rows.size());
    const double rate = schedule_->rate(step_);
    const double norm = optimizer_->step(gradients, rate);
    if (hooks_.updated) hooks_.updated(step_, optimizer_->parameters());
    if (!average_.empty()) update_average();
    ++step_;
    if (hooks_.step) hooks_.step({epoch_ + 1, step_, loss, rate, norm});
    observer_.progress("training", step_, steps_per_epoch_ * static_cast<std::uint64_t>(options_.epochs),
                       fmt::format("epoch {}/{}  loss {:.4f}", epoch_ + 1, options_.epochs, scores_.mean()));
  }

  void take_statistics(const std::vector<ir::Datum>& results) {
    for (std::size_t i = 0; i < graphs_.statistics.size(); ++i) {
      const auto next = results[2 + i].tensor()->data<float>();
      const auto now = session_->variable(graphs_.statistics[i].name).mutable_data<float>();
      std::copy(next.begin(), next.end(), now.begin());
    }
  }

  // Gradients of a batch as the mean over its pieces.
  void accumulate(std::vector<const float*>& gradients, float share, bool first) {
    sums_.resize(gradients.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const auto count = static_cast<std::size_t>(optimizer_->parameters()[i].count);
      sums_[i].resize(count);
      for (std::size_t k = 0; k < count; ++k) sums_[i][k] = (first ? 0.0F : sums_[i][k]) + gradients[i][k] * share;
      gradients[i] = sums_[i].data();
    }
  }

  void update_average() {
    // The first steps count more, so that the start is forgotten: the usual correction.
    const auto keep = static_cast<float>(
        std::min(options_.average, (1.0 + static_cast<double>(step_)) / (10.0 + static_cast<double>(step_))));
    for (std::size_t i = 0; i < variables_.size(); ++i) {
      const auto now = session_->variable(variables_[i].name).data<float>();
      for (std::size_t k = 0; k < now.size(); ++k) average_[i][k] = average_[i][k] * keep + now[k] * (1 - keep);
    }
  }

  // ---- validation
  Snapshot snapshot() {
    Snapshot all;
    for (const Weight& each : variables_) all.push_back(copy_of(session_->variable(each.name)));
    return all;
  }
  // What a validation sees and the result will be.
  Snapshot current() { return average_.empty() ? snapshot() : average_; }

  void validate(EpochReport& report) {
    const Snapshot now = current();
    for (std::size_t i = 0; i < variables_.size(); ++i) {
      if (std::find(evaluation_variables_.begin(), evaluation_variables_.end(), variables_[i].name) ==
          evaluation_variables_.end()) {
        continue;
      }
      const auto values = evaluation_->variable(variables_[i].name).mutable_data<float>();
      std::copy(now[i].begin(), now[i].end(), values.begin());
    }
    Scores scores;
    const std::int64_t rows = validation_feed_->data().rows();
    const std::int64_t size = fixed_batch_ > 0 ? fixed_batch_ : std::max(micro_, validation_batch);
    for (const data::Batch& batch : data::batches(rows, size, false)) {
      if (fixed_batch_ > 0 && static_cast<std::int64_t>(batch.rows.size()) < fixed_batch_) break;
      std::vector<ir::NamedDatum> inputs = validation_feed_->read(batch.rows);
      const ir::Tensor target = targets(task_, validation_feed_->data(), batch.rows);
      inputs.push_back({graphs_.target, target});
      const std::vector<ir::Datum>& results = evaluation_->run_shared(inputs);
      scores.loss +=
          static_cast<double>(results[0].tensor()->data<float>()[0]) * static_cast<double>(batch.rows.size());
      scores.rows += static_cast<std::int64_t>(batch.rows.size());
      count_correct(task_, *results[1].tensor(), target, scores);
    }
    validation_rows_ = scores.rows;
    report.validation_loss = scores.mean();
    report.validation_accuracy = scores.accuracy();
    const bool by_accuracy = options_.monitor == "accuracy";
    // Without any row that counts there is nothing to be better by.
    const double value = by_accuracy ? -report.validation_accuracy.value_or(0) : *report.validation_loss;
    if (best_epoch_ == 0 || value < best_value_) {
      best_value_ = value;
      best_epoch_ = epoch_ + 1;
      report.best = true;
      if (keeps_best()) best_ = now;
      return;
    }
    if (options_.early_stopping > 0 && epoch_ + 1 - best_epoch_ >= options_.early_stopping) stopped_early_ = true;
  }

  bool keeps_best() const { return options_.restore_best || options_.early_stopping > 0; }

  // ---- interruption
  void stop_if_interrupted() {
    const int signal = interrupt_signal();
    if (signal == 0) return;
    if (!options_.checkpoint.empty()) {
      request_interrupt(0);  // writing would stop, too
      save();
      request_interrupt(signal);
      observer_.message(Level::info, fmt::format("interrupted after step {}: {} is written, --resume goes on from it",
                                                 step_, printable(options_.checkpoint)));
    }
    check_interrupt();
  }

  // What has to be the same for a run that goes on. Epochs and the like may grow.
  Json configuration() const {
    const OptimizerOptions& o = options_.optimizer;
    Json arrays = Json::object();
    for (const data::Array& array : training_.arrays()) arrays[array.name] = ir::fingerprint(array.values);
    if (training_.label()) arrays["label " + training_.label()->name] = ir::fingerprint(training_.label()->values);
    Json weights = Json::object();
    for (const Weight& each : find_weights(original_))
      weights[each.name] = ir::fingerprint(weight(original_, each.name));
    return {{"loss", options_.loss},
            {"output", options_.output},
            {"label-smoothing", options_.label_smoothing},
            {"huber-delta", options_.huber_delta},
            {"class-weights", task_.weights},
            {"batch-size", options_.batch_size},
            {"micro-batch", options_.micro_batch},
            {"validation-split", options_.validation_split},
            {"optimizer", o.kind},
            {"momentum", o.momentum},
            {"nesterov", o.nesterov},
            {"betas", {o.beta1, o.beta2, o.decay, o.epsilon}},
            {"l1", o.l1},
            {"l2", o.l2},
            {"weight-decay", o.weight_decay},
            {"clip", {o.clip_norm, o.clip_value}},
            {"learning-rate", rate_},
            {"schedule", text(options_.schedule)},
            {"seed", options_.seed},
            {"dropout", options_.dropout ? Json(*options_.dropout) : Json()},
            {"dropout-after", options_.dropout_after},
            {"average", options_.average},
            {"init", options_.init},
            {"freeze", options_.freeze},
            {"keep-sparsity", options_.keep_sparsity},
            {"batch-norm", options_.batch_norm},
            {"rows", feed_->data().rows()},
            {"data", arrays},
            {"model", weights}};
  }

  void save() {
    Checkpoint checkpoint;
    Json history = Json::array();
    for (const EpochReport& each : history_) history.push_back(to_json(each));
    const Schedule::State& schedule = schedule_->state();
    checkpoint.state = {{"configuration", configuration()},
                        {"epoch", epoch_},
                        {"batch", batch_in_epoch_},
                        {"step", step_},
                        {"threads", threads()},
                        {"optimizer-steps", optimizer_->steps()},
                        {"scores", {scores_.loss, scores_.rows, scores_.correct, scores_.counted}},
                        {"schedule", {schedule.reduction, schedule.best, schedule.waited, schedule.any}},
                        {"best", {best_epoch_, best_value_}},
                        {"stopped-early", stopped_early_},
                        {"validation-rows", validation_rows_},
                        {"history", history}};
    const auto add = [&](const char* kind, const Snapshot& values, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) {
        if (values[i].empty()) continue;
        checkpoint.arrays.emplace_back(fmt::format("{}/{}", kind, variables_[i].name),
                                       tensor_of({static_cast<std::int64_t>(values[i].size())}, values[i]));
      }
    };
    add("weight", snapshot(), variables_.size());
    add("first", optimizer_->first_moments(), graphs_.trained.size());
    add("second", optimizer_->second_moments(), graphs_.trained.size());
    if (!average_.empty()) add("average", average_, variables_.size());
    if (!best_.empty()) add("best", best_, variables_.size());
    write_checkpoint(options_.checkpoint, checkpoint);
  }

  static Json to_json(const EpochReport& r) {
    const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
    return {r.epoch,
            r.step,
            r.rate,
            r.train_loss,
            r.seconds,
            number(r.train_accuracy),
            number(r.validation_loss),
            number(r.validation_accuracy),
            r.best};
  }
  static EpochReport report_of(const Json& json) {
    const auto number = [](const Json& value) {
      return value.is_null() ? std::nullopt : std::optional(value.get<double>());
    };
    EpochReport r;
    r.epoch = json.at(0);
    r.step = json.at(1);
    r.rate = json.at(2);
    r.train_loss = json.at(3);
    r.seconds = json.at(4);
    r.train_accuracy = number(json.at(5));
    r.validation_loss = number(json.at(6));
    r.validation_accuracy = number(json.at(7));
    r.best = json.at(8);
    return r;
  }

  void resume() {
    const std::optional<Checkpoint> checkpoint = read_checkpoint(options_.checkpoint);
    if (!checkpoint) {
      observer_.message(Level::info,
                        fmt::format("no checkpoint {} yet: training begins", printable(options_.checkpoint)));
      return;
    }
    in_context([&] { return fmt::format("resuming from {}", printable(options_.checkpoint)); },
               [&] {
                 try {
                   restore(*checkpoint);
                 } catch (const Json::exception& error) {
                   bad_input("the checkpoint lacks something: {}", error.what());
                 }
               });
    resumed_ = true;
  }

  void restore(const Checkpoint& checkpoint) {
    const Json& state = checkpoint.state;
    const Json mine = configuration(), &theirs = state.at("configuration");
    for (const auto& [key, value] : mine.items()) {
      if (theirs.contains(key) && theirs.at(key) == value) continue;
      if (key == "data" || key == "model" || key == "rows")
        usage_error("it was made with {}", key == "model" ? "another model" : "other data");
      usage_error("it was made with {} {}, not {}", key, theirs.contains(key) ? theirs.at(key).dump() : "nothing",
                  value.dump());
    }
    if (state.at("threads") != threads()) {
      observer_.message(
          Level::warning,
          fmt::format("the checkpoint was made with {} threads, not {}: results will differ in the last bits",
                      state.at("threads").get<int>(), threads()));
    }
    const auto take = [&](const char* kind, const std::string& name, std::span<float> values) {
      const ir::Tensor* tensor = checkpoint.find(fmt::format("{}/{}", kind, name));
      if (!tensor || tensor->type() != ir::ElementType::float32 ||
          tensor->element_count() != static_cast<std::int64_t>(values.size())) {
        bad_input("it lacks {} of {}", kind, hone::quote(name));
      }
      const auto from = tensor->data<float>();
      std::copy(from.begin(), from.end(), values.begin());
    };
    for (const Weight& each : variables_)
      take("weight", each.name, session_->variable(each.name).mutable_data<float>());
    for (std::size_t i = 0; i < graphs_.trained.size(); ++i) {
      const std::string& name = graphs_.trained[i].name;
      if (!optimizer_->first_moments()[i].empty()) take("first", name, optimizer_->first_moments()[i]);
      if (!optimizer_->second_moments()[i].empty()) take("second", name, optimizer_->second_moments()[i]);
    }
    for (std::size_t i = 0; i < average_.size(); ++i) take("average", variables_[i].name, average_[i]);
    best_epoch_ = state.at("best").at(0);
    best_value_ = state.at("best").at(1);
    if (keeps_best() && best_epoch_ > 0) {
      best_ = snapshot();
      for (std::size_t i = 0; i < best_.size(); ++i) take("best", variables_[i].name, best_[i]);
    }
    epoch_ = state.at("epoch");
    batch_in_epoch_ = state.at("batch");
    step_ = state.at("step");
    optimizer_->set_steps(state.at("optimizer-steps"));
    const Json& scores = state.at("scores");
    scores_ = {scores.at(0), scores.at(1), scores.at(2), scores.at(3)};
    const Json& schedule = state.at("schedule");
    schedule_->set_state({schedule.at(0), schedule.at(1), schedule.at(2), schedule.at(3)});
    stopped_early_ = state.at("stopped-early");
    validation_rows_ = state.at("validation-rows");
    for (const Json& each : state.at("history")) history_.push_back(report_of(each));
    observer_.message(Level::info, fmt::format("going on after epoch {}, step {}", epoch_, step_));
  }

  // ---- the end
  FinetuneResult finish() {
    FinetuneResult result;
    result.model = original_.clone();
    const Snapshot weights = keeps_best() && !best_.empty() ? best_ : current();
    for (std::size_t i = 0; i < graphs_.trained.size(); ++i) {
      const Weight& each = graphs_.trained[i];
      check_mask(masks_[i], weights[i].data(), each.name);
      result.trained_parameters += static_cast<std::int64_t>(weights[i].size());
      if (is_decayed(each.role)) {
        result.sparsity.push_back({each.name, static_cast<std::int64_t>(weights[i].size()), masks_[i].zeros,
                                   count_zeros(weights[i].data(), static_cast<std::int64_t>(weights[i].size())),
                                   !masks_[i].keep.empty()});
      }
    }
    // Weights that began anew but were not trained (frozen, or without a way to the loss) are part of the result, too.
    if (!options_.init.empty()) {
      for (const Weight& each : find_weights(original_)) set_weight(result.model, each.name, weight(start_, each.name));
    }
    for (std::size_t i = 0; i < variables_.size(); ++i) {
      set_weight(result.model, variables_[i].name, tensor_of(variables_[i].dims, weights[i]));
    }
    result.loss = name(task_.loss);
    result.learning_rate = rate_;
    result.steps = step_;
    result.training_rows = feed_->data().rows();
    result.validation_rows = validation_rows_;
    result.trained_weights = static_cast<std::int64_t>(graphs_.trained.size());
    result.epochs = history_;
    result.best_epoch = best_epoch_;
    result.stopped_early = stopped_early_;
    result.resumed = resumed_;
    result.seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    return result;
  }

  const ir::Model& original_;
  const FinetuneOptions& options_;
  const Hooks& hooks_;
  Observer& observer_;

  ir::Model start_;  // with the weights that training begins with
  data::Dataset training_;
  std::optional<data::Dataset> validation_;
  std::unique_ptr<data::Feed> feed_, validation_feed_;
  std::int64_t fixed_batch_ = 0, batch_ = 0, micro_ = 0, rows_per_epoch_ = 0;
  std::uint64_t steps_per_epoch_ = 0;

  Task task_;
  Graphs graphs_;
  std::vector<Weight> variables_;  // trained weights, then running statistics
  std::unique_ptr<exec::Session> session_, evaluation_;
  std::vector<std::string> evaluation_variables_;
  std::vector<Mask> masks_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Schedule> schedule_;
  double rate_ = 0;
  std::vector<std::vector<float>> sums_;
  Snapshot average_, best_;

  std::int64_t epoch_ = 0;  // from 0
  std::uint64_t batch_in_epoch_ = 0, step_ = 0;
  Scores scores_;
  std::vector<EpochReport> history_;
  std::int64_t best_epoch_ = 0, validation_rows_ = 0;
  double best_value_ = 0;
  bool stopped_early_ = false, resumed_ = false;
  Clock::time_point began_;
};

}  // namespace

FinetuneResult finetune(const ir::Model& model, const data::Dataset& data, const FinetuneOptions& options,
                        const Hooks& hooks, Observer& observer) {
  if (model.opset() > 0 && model.opset() < least_opset) {
    observer.message(Level::info,
                     fmt::format("raised from opset {} to {}, which training needs", model.opset(), least_opset));
    ir::Model raised = model.clone();
    passes::convert_opset(raised, least_opset, observer);
    return finetune(raised, data, options, hooks, observer);
  }
  return Trainer(model, data, options, hooks, observer).run();
}

std::vector<autodiff::Obstacle> check(const ir::Model& model, const data::Dataset& data,
                                      const FinetuneOptions& options) {
  return find_obstacles(model, choose_task(model, data, options), options);
}

}  // namespace hone::train
