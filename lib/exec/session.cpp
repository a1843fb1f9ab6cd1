#include "hone/exec/session.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "exec/compute_constants.h"
#include "exec/expand_gradients.h"
#include "exec/fuse.h"
#include "exec/fuse_attention.h"
#include "exec/fuse_elementwise.h"
#include "exec/lower_quantized.h"
#include "exec/program.h"
#include "hone/support/error.h"

#ifdef HONE_ONEDNN
#include "exec/onednn/avx2.h"
#endif

namespace hone::exec {
namespace {

std::string kind_name(const ir::Datum& datum) {
  if (const ir::Tensor* tensor = datum.tensor())
    return fmt::format("{}{}", ir::name(tensor->type()), ir::text(tensor->dims()));
  return datum.sequence() ? "a sequence" : datum.map() ? "a map" : "an optional";
}

bool same_kind(const ir::Type& type, const ir::Datum& datum) {
  switch (type.kind) {
    case ir::Type::Kind::tensor:
    case ir::Type::Kind::sparse_tensor:
      return datum.tensor() != nullptr;
    case ir::Type::Kind::sequence:
      return datum.sequence() != nullptr;
    case ir::Type::Kind::optional:
      return true;  // a value may stand for an optional that holds it
    case ir::Type::Kind::map:
      return datum.map() != nullptr;
    default:
      return true;
  }
}

// A graph input, and what its declaration asks of the caller.
struct Input {
  std::string name;
  ir::Type type;
  std::uint32_t slot = no_slot;
  std::optional<ir::Tensor> fallback;
  // By dimension: a number, or the place of a symbol (in State::symbols), or neither.
  struct Check {
    std::int64_t number = -1;
    std::int32_t symbol = -1;
  };
  std::vector<Check> checks;
  bool has_shape = false;
  const ir::Datum* given = nullptr;
};

struct CachedPlan {
  std::vector<std::int64_t> key;
  std::uint64_t used = 0;
  std::vector<Traced> trace;
  std::unique_ptr<MemoryPlan> plan;
};

}  // namespace

struct Session::State {
  using NamedDatum = ir::NamedDatum;

  std::optional<ir::Model> expanded;  // where the model has Gradient nodes
  const ir::Model& model;
  SessionOptions options;
  std::unique_ptr<Program> program;
  bool overridable = false;
  std::vector<Input> inputs;
  struct Symbol {
    std::string name;
    std::int64_t value = -1;
    std::size_t input = 0;
  };
  std::vector<Symbol> symbols;
  std::vector<std::string> required, outputs;
  std::map<std::string, ir::Tensor, std::less<>> variables;
  std::vector<std::pair<std::uint32_t, const ir::Tensor*>> variable_slots;
  std::vector<std::string> observed;
  ValueObserver observer;
  std::vector<std::pair<std::uint32_t, std::string>> observed_slots, observed_at_start;
  std::vector<CachedPlan> plans;
  std::vector<std::int64_t> key;
  std::uint64_t runs = 0, planned = 0;
  std::vector<ir::Datum> results;

  State(const ir::Model& m, SessionOptions o)
      : expanded(expand_gradients(m)), model(expanded ? *expanded : m), options(std::move(o)) {
    const ir::Graph& graph = *model.graph;
    for (const ir::Value* value : graph.inputs()) {
      if (is_variable(value->name())) continue;
      Input& input = inputs.emplace_back();
      input.name = value->name();
      input.type = value->type();
      if (value->initializer()) {
        input.fallback = *value->initializer();
      } else {
        required.push_back(input.name);
      }
      if (!input.type.is_tensor() || !input.type.shape) continue;
      input.has_shape = true;
      for (const ir::Dimension& dim : *input.type.shape) {
        Input::Check& check = input.checks.emplace_back();
        if (dim.number()) {
          check.number = *dim.number();
        } else if (const auto name = dim.symbol_name()) {
          check.symbol = static_cast<std::int32_t>(symbol(*name));
        }
      }
    }
    for (const ir::Value* value : graph.outputs()) outputs.push_back(value->name());
    for (const std::string& name : options.extra_outputs) outputs.push_back(name);
    for (const std::string& name : options.variables) {
      const ir::Value* value = graph.find(name);
      const ir::Tensor* tensor = value ? value->initializer() : nullptr;
      if (!tensor) usage_error("the model has no initializer {} to be variable", quote(name));
      variables.emplace(name, tensor->clone());
    }
    build();
  }

  bool is_variable(std::string_view name) const {
    return std::find(options.variables.begin(), options.variables.end(), name) != options.variables.end();
  }

  std::size_t symbol(std::string_view name) {
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      if (symbols[i].name == name) return i;
    }
    symbols.push_back({std::string(name)});
    return symbols.size() - 1;
  }

  void build() {
    ProgramOptions settings;
    settings.reference = options.reference;
    settings.seed = options.seed;
    settings.profile = options.profile || options.trace;
    settings.trace = options.trace;
    settings.extra_outputs = options.extra_outputs;
    settings.observed = observed;
    results.clear();
    plans.clear();
    program.reset();
    auto copy = std::make_unique<PrivateGraph>(model, *model.graph, model.opsets, options.variables, overridable);
    if (!options.reference) {
      std::vector<std::string> keep = observed;
      keep.insert(keep.end(), options.extra_outputs.begin(), options.extra_outputs.end());
      compute_constants(*copy, keep);
#ifdef HONE_ONEDNN
      const bool own_kernels = onednn::has_avx2();
      if (own_kernels) lower_quantized(*copy, keep);
      if (own_kernels) fuse_attention(*copy, keep);
      fuse(*copy, keep);
      if (own_kernels) fuse_elementwise(*copy, keep);
#endif
    }
    program = std::make_unique<Program>(std::move(copy), std::move(settings));
    PrivateGraph& graph = program->private_graph();
    for (Input& input : inputs) {
      const ir::Value* value = graph.find(input.name);
      input.slot = value && value->is_graph_input() ? program->slot_of(*value) : no_slot;
    }
    variable_slots.clear();
    for (const auto& [name, tensor] : variables)
      variable_slots.emplace_back(program->slot_of(*graph.find(name)), &tensor);
    observed_slots.clear();
    observed_at_start.clear();
    for (const std::string& name : observed) {
      const ir::Value* value = graph.find(name);
      const std::uint32_t slot = program->slot_of(*value);
      (value->producer() && !ir::constant(value) ? observed_slots : observed_at_start).emplace_back(slot, name);
    }
    program->observer = [this](std::uint32_t slot, const ir::Tensor& tensor) {
      for (const auto& [each, name] : observed_slots) {
        if (each == slot) observer(name, tensor);
      }
    };
  }

  void match(const std::vector<NamedDatum>& given) {
    for (Input& input : inputs) input.given = nullptr;
    for (std::size_t i = 0; i < given.size(); ++i) {
      Input* found = i < inputs.size() && inputs[i].name == given[i].name ? &inputs[i] : nullptr;
      for (std::size_t k = 0; k < inputs.size() && !found; ++k) {
        if (inputs[k].name == given[i].name) found = &inputs[k];
      }
      if (!found) bad_input("the model has no input {}; it has {}", quote(given[i].name), input_list());
      if (found->given) bad_input("input {} is given twice", quote(given[i].name));
      found->given = &given[i].datum;
    }
    for (const Input& input : inputs) {
      if (!input.given && !input.fallback)
        bad_input("input {} ({}) is missing", quote(input.name), ir::text(input.type));
      if (input.given && input.fallback && !overridable) {
        overridable = true;
        build();
      }
    }
  }

  std::string input_list() const {
    std::string all;
    for (const Input& input : inputs) all += (all.empty() ? "" : ", ") + quote(input.name);
    return all.empty() ? "none" : all;
  }

  void check() {
    for (Symbol& symbol : symbols) symbol.value = -1;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Input& input = inputs[i];
      if (!input.given) continue;
      const ir::Datum& datum = *input.given;
      const ir::Tensor* tensor = datum.tensor();
      if (!same_kind(input.type, datum) || (tensor && tensor->type() == ir::ElementType::undefined)) mismatch(input);
      if (!tensor || !input.type.is_tensor()) continue;
      if (input.type.element != ir::ElementType::undefined && tensor->type() != input.type.element) mismatch(input);
      if (!input.has_shape) continue;
      const ir::Dims& dims = tensor->dims();
      if (dims.size() != input.checks.size()) mismatch(input);
      for (std::size_t d = 0; d < dims.size(); ++d) {
        const Input::Check& wanted = input.checks[d];
        if (wanted.number >= 0 && wanted.number != dims[d]) mismatch(input);
        if (wanted.symbol < 0) continue;
        Symbol& symbol = symbols[static_cast<std::size_t>(wanted.symbol)];
        if (symbol.value < 0) {
          symbol.value = dims[d];
          symbol.input = i;
        } else if (symbol.value != dims[d]) {
          bad_input("input {} is {}: dimension {} of {} must be {}, as in input {}", quote(input.name),
                    kind_name(datum), quote(symbol.name), ir::text(input.type), symbol.value,
                    quote(inputs[symbol.input].name));
        }
      }
    }
  }

  [[noreturn]] static void mismatch(const Input& input) {
    bad_input("input {} is {}, the model expects {}", quote(input.name), kind_name(*input.given), ir::text(input.type));
  }

  CachedPlan* find_plan() {
    key.clear();
    for (const Input& input : inputs) {
      const ir::Tensor* tensor = input.given ? input.given->tensor() : nullptr;
      key.push_back(tensor ? static_cast<std::int64_t>(tensor->rank()) : -1);
      if (tensor) key.insert(key.end(), tensor->dims().begin(), tensor->dims().end());
    }
    for (CachedPlan& each : plans) {
      if (each.key == key) return &each;
    }
    return nullptr;
  }

  void execute(const std::vector<NamedDatum>& given) {
    match(given);
    check();
    results.clear();
    CachedPlan* cached = find_plan();
    if (cached && !cached->plan)
      cached->plan = std::make_unique<MemoryPlan>(plan_memory(cached->trace, program->step_count()));
    std::uint64_t keep = 0;
    for (const CachedPlan& each : plans) keep = std::max(keep, each.plan ? each.plan->size : 0);
    const bool trace = !cached && options.plan_cache > 0;
    program->begin(cached ? cached->plan.get() : nullptr, trace, keep);
    for (const Input& input : inputs) {
      if (input.slot == no_slot) continue;
      if (input.given) {
        program->set(input.slot, *input.given);
      } else {
        program->set(input.slot, *input.fallback);
      }
    }
    for (const auto& [slot, tensor] : variable_slots) program->set(slot, *tensor);
    if (observer) {
      for (const auto& [slot, name] : observed_at_start) {
        const ir::Datum value = program->result(slot, true);
        if (value.tensor()) observer(name, *value.tensor());
      }
    }
    program->execute();
    ++runs;
    if (trace) {
      if (plans.size() >= options.plan_cache) {
        // The current plan of the arena is not among them: this was a dynamic run.
        plans.erase(std::min_element(plans.begin(), plans.end(),
                                     [](const CachedPlan& a, const CachedPlan& b) { return a.used < b.used; }));
      }
      plans.push_back({key, runs, program->arena().take_trace(), nullptr});
      planned = program->arena().reserved();
    } else if (cached) {
      cached->used = runs;
      planned = cached->plan->size;
    }
  }

  void collect(bool shared) {
    for (const std::uint32_t slot : program->main().outputs) {
      results.push_back(program->result(slot, shared));
      if (shared || variables.empty()) continue;
      const ir::Tensor* tensor = results.back().tensor();
      for (const auto& [name, variable] : variables) {
        if (tensor && tensor->buffer() && tensor->buffer() == variable.buffer()) {
          results.back() = tensor->clone();
          break;
        }
      }
    }
  }
};

Session::Session(const ir::Model& model, SessionOptions options)
    : state_(std::make_unique<State>(model, std::move(options))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

const std::vector<std::string>& Session::required_inputs() const { return state_->required; }
const std::vector<std::string>& Session::output_names() const { return state_->outputs; }

std::vector<ir::Datum> Session::run(const std::vector<ir::NamedDatum>& inputs) {
  state_->execute(inputs);
  state_->collect(false);
  return std::move(state_->results);
}

const std::vector<ir::Datum>& Session::run_shared(const std::vector<ir::NamedDatum>& inputs) {
  state_->execute(inputs);
  state_->collect(true);
  return state_->results;
}

void Session::observe(std::vector<std::string> names, ValueObserver observer) {
  if (names.empty()) observer = nullptr;
  state_->observer = std::move(observer);
  if (names == state_->observed) return;
  state_->observed = std::move(names);
  state_->build();  // an observed value must not be fused away
}

ir::Tensor& Session::variable(std::string_view name) {
  const auto found = state_->variables.find(name);
  if (found == state_->variables.end()) usage_error("{} is no variable of this session", quote(name));
  return found->second;
}

const std::vector<NodeProfile>& Session::profile() const { return state_->program->profile(); }
const std::vector<NodeRun>& Session::trace() const { return state_->program->trace(); }
std::uint64_t Session::planned_bytes() const { return state_->planned; }

}  // namespace hone::exec
