#include "hone/release/validate.h"

#include <algorithm>

#include "hone/exec/random_inputs.h"
#include "hone/exec/session.h"
#include "hone/metrics/latency.h"
#include "hone/onnx/write.h"
#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace hone::release {
namespace {

// Runs before any is counted: plans are made, caches filled.
constexpr int kWarmUp = 3;

// The operator that makes the numbers of an output, behind what only passes them on.
const ir::Node* maker_of(const ir::Model& model, const std::string& output) {
  const ir::Value* value = model.graph->find(output);
  for (int steps = 0; value && value->producer() && steps < 16; ++steps) {
    const ir::Node* node = value->producer();
    if (node->is("Identity") || node->is("Cast") || node->is("Reshape") || node->is("Flatten") ||
        node->is("DequantizeLinear") || node->is("QuantizeLinear") || node->is("Squeeze")) {
      value = node->input(0);
      continue;
    }
    return node;
  }
  return nullptr;
}

class Runner {
 public:
  Runner(ir::Model& model, const ValidateOptions& options) : model_(model), options_(options), session_(model) {
    const std::vector<std::string>& names = session_.output_names();
    if (names.empty()) bad_input("the model has no outputs");
    if (options.output.empty()) return;
    const auto found = std::find(names.begin(), names.end(), options.output);
    if (found == names.end()) usage_error("--output: the model has no output {}", quote(options.output));
    answer_ = static_cast<std::size_t>(found - names.begin());
  }

  const std::string& output() const { return session_.output_names()[answer_]; }
  exec::Session& session() { return session_; }
  std::size_t answer() const { return answer_; }

  const std::vector<ir::Datum>& run(const std::vector<ir::NamedDatum>& inputs) { return session_.run_shared(inputs); }

  void evaluate(Subject& subject, const ir::Tensor& outputs, const ir::Tensor& labels, std::int64_t first_row) {
    if (!subject.evaluation) subject.evaluation.emplace(form(outputs, labels));
    subject.evaluation->add(outputs, labels, first_row);
  }

 private:
  metrics::Form form(const ir::Tensor& outputs, const ir::Tensor& labels) const {
    metrics::Form form = metrics::guess_form(outputs, labels);
    if (options_.task) form.task = *options_.task;
    if (const ir::Node* node = maker_of(model_, output())) {
      if (node->is("Softmax") || node->is("Sigmoid")) form.scores = metrics::Scores::probabilities;
      if (node->is("Gemm") || node->is("MatMul") || node->is("LogSoftmax") || node->is("Add") || node->is("Conv")) {
        if (form.scores == metrics::Scores::probabilities) form.scores = metrics::Scores::logits;
      }
    }
    if (options_.scores) form.scores = *options_.scores;
    return form;
  }

  ir::Model& model_;
  const ValidateOptions& options_;
  exec::Session session_;
  std::size_t answer_ = 0;
};

// The first rows of a tensor: the others only filled a fixed batch.
ir::Tensor first_rows(const ir::Tensor& tensor, std::int64_t count) {
  if (tensor.rank() == 0 || tensor.dims()[0] <= count) return tensor;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
  return data::take_rows(tensor, rows);
}

const ir::Tensor& tensor_of(const ir::Datum& datum, const std::string& name) {
  const ir::Tensor* tensor = datum.tensor();
  if (!tensor) unsupported("output {} is no tensor: choose another with --output", quote(name));
  return *tensor;
}

Subject describe(ir::Model& model) {
  Subject subject;
  subject.size = onnx::serialized_size(model);
  shapes::Inference(model).run();
  subject.cost = shapes::cost(model, 1, true);
  return subject;
}

void measure(metrics::Measurements& measurements, const Validation& validation) {
  const auto set = [&](const Subject& subject, auto&& put) {
    put("size", static_cast<double>(subject.size));
    put("parameters", static_cast<double>(subject.cost.parameters));
    put("nodes", static_cast<double>(subject.cost.nodes));
    put("memory", static_cast<double>(subject.memory));
    if (subject.cost.complete) put("macs", subject.cost.macs);
    if (subject.cost.parameters > 0) {
      put("sparsity",
          1 - static_cast<double>(subject.cost.nonzero_parameters) / static_cast<double>(subject.cost.parameters));
    }
  };
  set(validation.model, [&](const char* name, double value) { measurements.set(name, value); });
  if (validation.baseline) {
    set(*validation.baseline, [&](const char* name, double value) { measurements.set_baseline(name, value); });
  }
  const auto evaluation = [](const std::optional<metrics::Evaluation>& each) { return each ? &*each : nullptr; };
  measurements.set_evaluation(evaluation(validation.model.evaluation),
                              validation.baseline ? evaluation(validation.baseline->evaluation) : nullptr,
                              validation.classes);
  measurements.set_comparisons(validation.comparisons);
  if (!validation.model.latency.empty()) {
    measurements.set_latency(validation.model.latency,
                             validation.baseline ? validation.baseline->latency : std::vector<double>());
  }
}

}  // namespace

Validation validate(ir::Model& model, ir::Model* baseline, const data::Dataset* data,
                    const data::FeedOptions& feed_options, const ValidateOptions& options, Observer& observer) {
  std::vector<metrics::Gate> gates;
  for (const std::string& text : options.gates) gates.push_back(metrics::parse_gate(text));

  Validation validation;
  validation.model = describe(model);
  if (baseline) validation.baseline = describe(*baseline);
  Runner runner(model, options);
  validation.output = runner.output();
  std::optional<Runner> other;
  if (baseline) {
    other.emplace(*baseline, options);
    if (other->session().output_names().size() != runner.session().output_names().size()) {
      bad_input("the model has {} outputs and the baseline {}", runner.session().output_names().size(),
                other->session().output_names().size());
    }
    for (const std::string& name : runner.session().output_names()) validation.comparisons.emplace_back(name);
  }

  std::optional<data::Feed> feed, other_feed;
  if (data) {
    feed.emplace(*data, data::model_inputs(*model.graph), feed_options);
    if (baseline) other_feed.emplace(*data, data::model_inputs(*baseline->graph), feed_options);
    validation.classes = data->classes();
    validation.rows = data->rows();
    const auto fixed = feed->fixed_batch() ? feed->fixed_batch()
                       : other_feed        ? other_feed->fixed_batch()
                                           : std::nullopt;
    std::int64_t done = 0;
    for (const data::Batch& batch : data::batches(data->rows(), fixed.value_or(options.batch), fixed.has_value())) {
      check_interrupt();
      const auto count = static_cast<std::int64_t>(batch.count);
      std::optional<ir::Tensor> labels;
      if (data->label()) labels = first_rows(data->labels(batch.rows), count);
      const std::vector<ir::Datum>& outputs = runner.run(feed->read(batch.rows));
      const ir::Tensor answers = first_rows(tensor_of(outputs[runner.answer()], runner.output()), count);
      if (labels) runner.evaluate(validation.model, answers, *labels, done);
      if (other) {
        const std::vector<ir::Datum>& expected = other->run(other_feed->read(batch.rows));
        const ir::Tensor before = first_rows(tensor_of(expected[other->answer()], other->output()), count);
        if (labels) other->evaluate(*validation.baseline, before, *labels, done);
        for (std::size_t i = 0; i < outputs.size(); ++i) {
          const ir::Tensor *a = expected[i].tensor(), *b = outputs[i].tensor();
          if (a && b) validation.comparisons[i].add(*a, *b, a->rank() > 0 && a->dims()[0] >= count ? count : -1);
        }
      }
      done += count;
      observer.progress("validating", static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(data->rows()), "");
    }
    validation.model.memory = runner.session().planned_bytes();
    if (other) validation.baseline->memory = other->session().planned_bytes();
  }

  if (options.latency_runs > 0) {
    const auto inputs_for = [&](const std::optional<data::Feed>& source, const ir::Model& subject) {
      if (!source || data->rows() == 0) return exec::random_inputs(subject, options.seed);
      const std::vector<std::int64_t> rows(static_cast<std::size_t>(source->fixed_batch().value_or(1)), 0);
      return source->read(rows);
    };
    const auto inputs = inputs_for(feed, model);
    const auto run_model = [&] { runner.run(inputs); };
    if (other) {
      const auto other_inputs = inputs_for(other_feed, *baseline);
      const auto timings =
          metrics::time_in_turn([&] { other->run(other_inputs); }, run_model, kWarmUp, options.latency_runs);
      validation.baseline->latency = timings.first;
      validation.model.latency = timings.second;
    } else {
      validation.model.latency = metrics::time_in_turn([] {}, run_model, kWarmUp, options.latency_runs).second;
    }
  }

  metrics::Measurements measurements;
  measurements.set_seed(options.seed);
  measure(measurements, validation);
  validation.verdicts = metrics::judge(gates, measurements, options.confidence);
  return validation;
}

}  // namespace hone::release
