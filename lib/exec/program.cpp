#include "exec/program.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <unordered_set>

#include "exec/arrays.h"
#include "exec/flops.h"
#include "exec/function_call.h"
#include "exec/fuse.h"
#include "exec/inner_uses.h"
#include "hone/support/random.h"
#include "hone/support/threads.h"

namespace hone::exec {
namespace {

constexpr std::uint32_t never = 0, at_end = ~std::uint32_t{0};

// FNV-1a: a seed that stays the same when nodes around it come and go.
std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

template <typename T>
void scatter(const ir::SparseTensor& sparse, const std::vector<std::int64_t>& indices, const ir::Tensor& values,
             ir::Tensor& dense) {
  const auto from = values.data<T>();
  auto to = dense.mutable_data<T>();
  const std::size_t rank = sparse.indices.rank() == 2 ? sparse.dims.size() : 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::int64_t at = 0;
    if (rank == 0) {
      if (i < indices.size()) at = indices[i];
    } else {
      for (std::size_t d = 0; d < rank; ++d) {
        const std::int64_t index = i * rank + d < indices.size() ? indices[i * rank + d] : -1;
        if (index < 0 || index >= sparse.dims[d]) bad_input("a sparse tensor has an index out of range");
        at = at * sparse.dims[d] + index;
      }
    }
    if (at < 0 || at >= static_cast<std::int64_t>(to.size())) bad_input("a sparse tensor has an index out of range");
    to[static_cast<std::size_t>(at)] = from[i];
  }
}

ir::Tensor densify(const ir::SparseTensor& sparse) {
  ir::Tensor dense = ir::Tensor::zeros(sparse.values.type(), sparse.dims);
  const ir::Tensor values = sparse.values.loaded();
  const std::vector<std::int64_t> indices = sparse.indices.to_ints();
  switch (ir::bit_width(dense.type())) {
    case 8:
      scatter<std::uint8_t>(sparse, indices, values, dense);
      break;
    case 16:
      scatter<std::uint16_t>(sparse, indices, values, dense);
      break;
    case 32:
      scatter<std::uint32_t>(sparse, indices, values, dense);
      break;
    case 64:
      scatter<std::uint64_t>(sparse, indices, values, dense);
      break;
    default:
      unsupported("a sparse tensor of {}", ir::name(dense.type()));
  }
  return dense;
}

}  // namespace

std::string describe(const ir::Node& node) {
  return fmt::format("node {} ({})",
                     quote(node.name().empty() && node.output(0) ? node.output(0)->name() : node.name()),
                     node.op_type());
}

Program::Program(std::unique_ptr<PrivateGraph> graph, ProgramOptions options)
    : private_(std::move(graph)), options_(std::move(options)) {
  ir::Graph& main = private_->graph();
  for (const std::string& name : options_.extra_outputs) {
    ir::Value* value = private_->find(name);
    if (!value) usage_error("the model has no value {}", quote(name));
    main.add_output(value);
  }
  for (const std::string& name : options_.observed) {
    if (!private_->find(name)) usage_error("the model has no value {}", quote(name));
  }
  number_values(main);
  plan_body(main_, main);
  if (!unsupported_.empty()) report_unsupported();
  for (const std::string& name : options_.observed) {
    const ir::Value* value = private_->find(name);
    if (!value->producer() || ir::constant(value)) continue;
    for (Step& step : main_.steps) {
      if (step.node == value->producer()) step.observed.push_back(slot_of_.at(value));
    }
  }
  if (options_.profile) {
    profile_.resize(main_.steps.size());
    for (std::size_t i = 0; i < profile_.size(); ++i) profile_[i].node = &private_->original(*main_.steps[i].node);
  }
}

Program::~Program() = default;

void Program::number_values(const ir::Graph& graph) {
  const auto add = [&](const ir::Value* value) {
    if (!value) return;
    const auto [at, fresh] = slot_of_.emplace(value, static_cast<std::uint32_t>(slots_.size()));
    if (!fresh) return;
    Slot& slot = slots_.emplace_back();
    const ir::Tensor* tensor = ir::constant(value);
    if (!tensor && value->sparse_initializer()) {
      tensor = &dense_.emplace_back(in_context([&] { return fmt::format("initializer {}", quote(value->name())); },
                                               [&] { return densify(*value->sparse_initializer()); }));
    }
    if (!tensor) return;
    slot.permanent = true;
    slot.kind = Slot::Kind::array;
    slot.array.type = tensor->type();
    slot.array.dims = tensor->dims();
    slot.lazy = tensor;
  };
  for (const ir::Value* value : graph.inputs()) add(value);
  for (const ir::Value* value : graph.initializers()) add(value);
  for (const ir::Node& node : graph.nodes()) {
    for (std::size_t i = 0; i < node.output_count(); ++i) add(node.output(i));
    node.for_each_subgraph([&](const ir::Graph& inner) { number_values(inner); });
  }
}

void Program::plan_body(Body& body, const ir::Graph& graph) {
  body.graph = &graph;
  const auto slot = [&](const ir::Value* value) { return value ? slot_of_.at(value) : no_slot; };
  const auto is_local = [&](const ir::Value& value) {
    return &value.graph() == &graph && !slots_[slot_of_.at(&value)].permanent;
  };
  std::unordered_map<const ir::Value*, std::uint32_t> last_use;  // number of the step, from 1
  for (const ir::Value* input : graph.inputs()) {
    body.inputs.push_back(slot(input));
    body.locals.push_back(slot(input));
  }
  for (const ir::Node& node : graph.nodes()) {
    bool constant = node.output_count() > 0;
    for (std::size_t i = 0; i < node.output_count() && constant; ++i) {
      constant = node.output(i) && slots_[slot(node.output(i))].permanent;
    }
    if (constant) continue;
    Step& step = body.steps.emplace_back();
    plan_step(step, node);
    const auto number = static_cast<std::uint32_t>(body.steps.size());
    const auto use = [&](const ir::Value& value) {
      if (is_local(value)) last_use[&value] = number;
    };
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      step.inputs.push_back(slot(node.input(i)));
      if (node.input(i)) use(*node.input(i));
    }
    for_each_inner_use(node, use);
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      const ir::Value* output = node.output(i);
      step.outputs.push_back(slot(output));
      step.wanted.push_back(output && output->has_uses());
      if (!output) continue;
      body.locals.push_back(slot(output));
      last_use[output] = number;
    }
  }
  for (const std::string& name : options_.observed) {
    const ir::Value* value = private_->find(name);
    const ir::Node* producer = value->producer();
    if (!producer || &producer->graph() != &graph) continue;
    for (Step& step : body.steps) {
      if (step.node == producer) step.wanted[value->output_index()] = 1;
    }
  }
  std::unordered_map<const ir::Value*, int> outputs;
  for (const ir::Value* output : graph.outputs()) {
    body.outputs.push_back(slot(output));
    ++outputs[output];
    if (is_local(*output)) last_use[output] = at_end;
  }
  for (const ir::Value* output : graph.outputs()) body.moves.push_back(is_local(*output) && outputs[output] == 1);

  for (std::uint32_t i = 0; i < body.steps.size(); ++i) {
    Step& step = body.steps[i];
    std::unordered_set<const ir::Value*> inside;
    for_each_inner_use(*step.node, [&](const ir::Value& value) { inside.insert(&value); });
    for (std::size_t k = 0; k < step.inputs.size(); ++k) {
      const ir::Value* value = step.node->input(k);
      const auto found = value ? last_use.find(value) : last_use.end();
      // The subgraph of a fused node runs instead of its kernel, not beside it.
      const bool shared_inside = inside.contains(value) && step.node->domain() != fused_domain;
      bool dying = found != last_use.end() && found->second == i + 1 && !shared_inside;
      for (std::size_t other = 0; other < step.inputs.size(); ++other) {
        dying = dying && (other == k || step.inputs[other] != step.inputs[k]);
      }
      step.dying.push_back(dying);
    }
  }
  for (const auto& [value, number] : last_use) {
    if (number != at_end && number != never) body.steps[number - 1].release.push_back(slot(value));
  }
  for (Step& step : body.steps) std::sort(step.release.begin(), step.release.end());
}

void Program::plan_step(Step& step, const ir::Node& node) {
  step.node = &node;
  const std::string& name = node.name().empty() && node.output(0) ? node.output(0)->name() : node.name();
  step.seed = hash_name(name);
  const KernelInfo info{node, private_->model(), private_->opset(node), threads()};
  in_context([&] { return describe(node); },
             [&] {
               step.kernel = make_kernel(info, options_.reference);
               if (!step.kernel) step.kernel = make_function_kernel(info, options_.reference);
             });
  if (!step.kernel) {
    std::string operation =
        fmt::format("{}{}{} (version {})", node.domain(), node.domain().empty() ? "" : ":", node.op_type(), info.opset);
    if (std::find(unsupported_.begin(), unsupported_.end(), operation) == unsupported_.end()) {
      unsupported_.push_back(std::move(operation));
    }
  }
  for (const ir::Attribute& attribute : node.attributes()) {
    if (const auto* graph = attribute.get<std::unique_ptr<ir::Graph>>()) {
      auto body = std::make_unique<Body>();
      plan_body(*body, **graph);
      step.bodies.emplace_back(attribute.name, std::move(body));
    }
  }
}

void Program::report_unsupported() {
  std::string all;
  for (const std::string& each : unsupported_) all += (all.empty() ? "" : ", ") + each;
  unsupported("no kernel for {} {}", unsupported_.size() == 1 ? "operator" : "operators", all);
}

void Program::begin(MemoryPlan* plan, bool trace, std::uint64_t keep) {
  if (dirty_) {
    clear_all();
    arena_.abandon();
  } else {
    for (const std::uint32_t slot : main_.inputs) clear(slots_[slot]);
    for (const std::uint32_t slot : main_.outputs) clear(slots_[slot]);
  }
  arena_.begin_run(plan, trace, keep);
  ++runs_;
}

void Program::clear_all() {
  for (Block* block : scratch_) arena_.release(block);
  scratch_.clear();
  for (Slot& slot : unwanted_) clear(slot);
  unwanted_count_ = 0;
  for (Slot& slot : slots_) clear(slot);
}

void Program::execute() {
  dirty_ = true;
  run_body(main_, true);
  dirty_ = false;
}

void Program::run_body(Body& body, bool main) {
  for (std::size_t i = 0; i < body.steps.size(); ++i) {
    if (main) arena_.begin_step(static_cast<std::uint32_t>(i));
    check_interrupt();
    Step& step = body.steps[i];
    if (main && options_.profile) {
      const auto start = Clock::now();
      run_step(step, main);
      profile_step(step, i, start);
    } else {
      run_step(step, main);
    }
    if (!step.observed.empty() && observer) {
      for (const std::uint32_t index : step.observed) {
        if (slots_[index].kind != Slot::Kind::array) continue;
        const ir::Datum value = result(index, true);
        observer(index, *value.tensor());
      }
    }
    for (const std::uint32_t index : step.release) clear(slots_[index]);
  }
}

void Program::run_step(Step& step, bool main) {
  try {
    StepContext context(*this, step, main);
    step.kernel->run(context);
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      if (step.wanted[i] && slots_[step.outputs[i]].kind == Slot::Kind::empty) {
        bad_input("output {} is used, and the operator makes none", i);
      }
    }
  } catch (Error& error) {
    error.prepend(describe(*step.node));
    throw;
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::resource_limit, "{}: the system has no more memory", describe(*step.node));
  }
}

void Program::profile_step(Step& step, std::size_t index, Clock::time_point start) {
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const auto array = [&](std::uint32_t at) -> const Array* {
    return at == no_slot || slots_[at].kind != Slot::Kind::array ? nullptr : &slots_[at].array;
  };
  std::uint64_t bytes = 0;
  std::vector<const ir::Dims*> inputs, outputs;
  for (const auto& [slots, dims] : {std::pair(&step.inputs, &inputs), std::pair(&step.outputs, &outputs)}) {
    for (const std::uint32_t at : *slots) {
      const Array* value = array(at);
      dims->push_back(value ? &value->dims : nullptr);
      if (value && value->type != ir::ElementType::string) bytes += value->byte_size();
    }
  }
  const double count = flops(*step.node, inputs, outputs);
  NodeProfile& profile = profile_[index];
  ++profile.runs;
  profile.seconds += seconds;
  profile.bytes += bytes;
  profile.flops += count;
  if (profile.kernel.empty()) profile.kernel = step.kernel->name();
  if (options_.trace) {
    trace_.push_back({index, runs_, std::chrono::duration<double>(start - made_).count(), seconds, bytes, count});
  }
}

void Program::clear(Slot& slot) {
  if (slot.permanent || slot.kind == Slot::Kind::empty) return;
  slot.kind = Slot::Kind::empty;
  if (slot.block) {
    arena_.release(slot.block);
    slot.block = nullptr;
  }
  if (slot.array.owner) slot.array.owner.reset();
  if (slot.array.strings) slot.array.strings.reset();
  if (slot.array.layout) slot.array.layout.reset();
  slot.array.data = nullptr;
  if (slot.plain) {
    if (slot.plain->block) arena_.release(slot.plain->block);
    slot.plain.reset();
  }
  if (slot.datum) slot.datum.reset();
}

void Program::load(Slot& slot) {
  slot.array = to_array(*slot.lazy);
  slot.lazy = nullptr;
}

const Array& Program::plain(Slot& slot) {
  if (slot.lazy) load(slot);
  if (!slot.array.layout) return slot.array;
  if (!slot.plain) {
    const std::uint64_t bytes = slot.array.byte_size();
    Block* block = arena_.allocate(bytes, false);
    slot.plain = std::make_unique<Slot::Plain>(Slot::Plain{{}, block});
    Array& array = slot.plain->array;
    array.type = slot.array.type;
    array.dims = slot.array.dims;
    array.data = block->data;
    slot.array.layout->unpack(slot.array.data, array.data);
  }
  return slot.plain->array;
}

const ir::Datum& Program::datum(Slot& slot) {
  if (!slot.datum) slot.datum = std::make_unique<ir::Datum>(to_tensor(plain(slot)));
  return *slot.datum;
}

void Program::set(Slot& slot, ir::Datum datum) {
  clear(slot);
  if (const ir::Tensor* tensor = datum.tensor()) {
    slot.array = to_array(*tensor);
    slot.kind = Slot::Kind::array;
  } else {
    slot.datum = std::make_unique<ir::Datum>(std::move(datum));
    slot.kind = Slot::Kind::datum;
  }
}

void Program::set(std::uint32_t index, const ir::Datum& datum) { set(slots_[index], datum); }

void Program::share(Slot& to, Slot& from) {
  clear(to);
  if (from.kind == Slot::Kind::datum) {
    to.datum = std::make_unique<ir::Datum>(*from.datum);
  } else if (from.kind == Slot::Kind::array) {
    if (from.lazy) load(from);
    to.array = from.array;
    to.block = from.block;
    if (to.block) ++to.block->references;
  }
  to.kind = from.kind;
}

void Program::move(Slot& to, Slot& from) {
  if (from.permanent) {
    share(to, from);
    return;
  }
  clear(to);
  std::swap(to.array, from.array);
  std::swap(to.block, from.block);
  std::swap(to.plain, from.plain);
  std::swap(to.datum, from.datum);
  std::swap(to.kind, from.kind);
}

ir::Datum Program::result(std::uint32_t index, bool shared) {
  Slot& slot = slots_[index];
  if (slot.kind == Slot::Kind::empty) return {};
  if (slot.kind == Slot::Kind::datum) return *slot.datum;
  const Array& array = plain(slot);
  const Block* block = slot.array.layout ? slot.plain->block : slot.block;
  if (shared && block && block->size > 0 && array.type != ir::ElementType::string) {
    SharedBuffer chunk = arena_.chunk_of(*block);
    const auto offset = static_cast<std::size_t>(array.data - chunk->data());
    return ir::Tensor::from_buffer(array.type, array.dims, std::move(chunk), offset);
  }
  return to_tensor(array);
}

// StepContext

StepContext::~StepContext() {
  while (program_.scratch_.size() > scratch_base_) {
    program_.arena_.release(program_.scratch_.back());
    program_.scratch_.pop_back();
  }
  while (program_.unwanted_count_ > unwanted_base_) program_.clear(program_.unwanted_[--program_.unwanted_count_]);
}

Slot& StepContext::input_slot(std::size_t index) {
  if (!has_input(index)) bad_input("input {} is missing", index);
  return program_.slots_[step_.inputs[index]];
}

const Array& StepContext::input(std::size_t index) {
  Slot& slot = input_slot(index);
  if (slot.kind != Slot::Kind::array) bad_input("input {} is no tensor", index);
  return slot.lazy || slot.array.layout ? program_.plain(slot) : slot.array;
}

const Array& StepContext::raw_input(std::size_t index) {
  Slot& slot = input_slot(index);
  if (slot.kind != Slot::Kind::array) bad_input("input {} is no tensor", index);
  if (slot.lazy) program_.load(slot);
  return slot.array;
}

const ir::Datum& StepContext::datum(std::size_t index) { return program_.datum(input_slot(index)); }

Slot& StepContext::output_slot(std::size_t index) {
  if (index < step_.outputs.size() && step_.outputs[index] != no_slot) {
    Slot& slot = program_.slots_[step_.outputs[index]];
    program_.clear(slot);
    return slot;
  }
  if (program_.unwanted_count_ == program_.unwanted_.size()) program_.unwanted_.emplace_back();
  return program_.unwanted_[program_.unwanted_count_++];
}

Array& StepContext::output(std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims) {
  const std::uint64_t bytes = checked_byte_size(type, dims);
  if (program_.options_.max_output_bytes > 0 && bytes > program_.options_.max_output_bytes) {
    fail(ErrorKind::resource_limit, "an output of {} bytes passes the limit of {}", bytes,
         program_.options_.max_output_bytes);
  }
  Slot& slot = output_slot(index);
  Array& array = slot.array;
  array.type = type;
  array.dims.assign(dims.begin(), dims.end());
  if (type == ir::ElementType::string) {
    array.strings = std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(array.count()));
  } else {
    slot.block = program_.arena_.allocate(bytes, planned_);
    array.data = slot.block->data;
  }
  slot.kind = Slot::Kind::array;
  return array;
}

Array* StepContext::take_over(std::size_t index, std::size_t source, ir::ElementType type,
                              std::span<const std::int64_t> dims, const std::shared_ptr<const Layout>& layout) {
  if (source >= step_.dying.size() || !step_.dying[source]) return nullptr;
  const Slot& from = program_.slots_[step_.inputs[source]];
  Block* block = from.block;
  if (!block || block->references != 1 || from.array.layout != layout || from.array.data != block->data ||
      type == ir::ElementType::string ||
      (layout ? layout->byte_size() : checked_byte_size(type, dims)) != block->size) {
    return nullptr;
  }
  Slot& slot = output_slot(index);
  slot.array.type = type;
  slot.array.dims.assign(dims.begin(), dims.end());
  slot.array.data = block->data;
  slot.array.layout = layout;
  slot.block = block;
  ++block->references;
  slot.kind = Slot::Kind::array;
  return &slot.array;
}

Array& StepContext::output_over(std::size_t index, std::size_t source, ir::ElementType type,
                                std::span<const std::int64_t> dims) {
  Array* array = take_over(index, source, type, dims, nullptr);
  return array ? *array : output(index, type, dims);
}

Array& StepContext::output_over_with_layout(std::size_t index, std::size_t source, ir::ElementType type,
                                            std::span<const std::int64_t> dims, std::shared_ptr<const Layout> layout) {
  Array* array = take_over(index, source, type, dims, layout);
  return array ? *array : output_with_layout(index, type, dims, std::move(layout));
}

void StepContext::forward(std::size_t index, std::size_t source, std::span<const std::int64_t> dims) {
  Slot& from = input_slot(source);
  if (from.kind != Slot::Kind::array) bad_input("input {} is no tensor", source);
  if (from.lazy) program_.load(from);
  const bool same = std::equal(dims.begin(), dims.end(), from.array.dims.begin(), from.array.dims.end());
  const Array& array = same ? from.array : program_.plain(from);
  if (!same) {
    std::int64_t count = 1;
    for (const std::int64_t dim : dims) count *= dim;  // of a valid kernel: the count of an array that exists
    if (count != array.count()) bad_input("{} elements under a shape of {}", array.count(), count);
  }
  Block* block = !same && from.array.layout ? from.plain->block : from.block;
  Slot& to = output_slot(index);
  to.array.type = array.type;
  to.array.data = array.data;
  to.array.owner = array.owner;
  to.array.strings = array.strings;
  to.array.layout = array.layout;
  to.array.dims.assign(dims.begin(), dims.end());
  to.block = block;
  if (block) ++block->references;
  to.kind = Slot::Kind::array;
}

void StepContext::set_output(std::size_t index, ir::Datum datum) { program_.set(output_slot(index), std::move(datum)); }

Array& StepContext::output_with_layout(std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims,
                                       std::shared_ptr<const Layout> layout) {
  Slot& slot = output_slot(index);
  slot.array.type = type;
  slot.array.dims.assign(dims.begin(), dims.end());
  slot.block = program_.arena_.allocate(layout->byte_size(), planned_);
  slot.array.data = slot.block->data;
  slot.array.layout = std::move(layout);
  slot.kind = Slot::Kind::array;
  return slot.array;
}

std::byte* StepContext::scratch(std::uint64_t bytes) {
  program_.scratch_.push_back(program_.arena_.allocate(bytes, planned_));
  return program_.scratch_.back()->data;
}

std::uint64_t StepContext::random_seed() {
  const auto numbers = philox(program_.options_.seed ^ step_.seed, program_.runs_, draws_++);
  return (static_cast<std::uint64_t>(numbers[0]) << 32) | numbers[1];
}

std::vector<ir::Datum> StepContext::run_subgraph(std::string_view attribute, std::vector<ir::Datum> inputs) {
  Body& body = this->body(attribute);
  if (inputs.size() != body.inputs.size()) {
    bad_input("{} takes {} inputs, not {}", attribute, body.inputs.size(), inputs.size());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) program_.set(body.inputs[i], inputs[i]);
  run(body);
  std::vector<ir::Datum> outputs;
  for (const std::uint32_t index : body.outputs) outputs.push_back(program_.result(index, false));
  finish(body);
  return outputs;
}

Body& StepContext::body(std::string_view attribute) {
  for (auto& [name, body] : step_.bodies) {
    if (name == attribute) return *body;
  }
  bad_input("the graph attribute {} is missing", attribute);
}

Slot StepContext::take_input(std::size_t index) {
  Slot value;
  Slot& source = input_slot(index);
  if (step_.dying[index]) {
    program_.move(value, source);
  } else {
    program_.share(value, source);
  }
  return value;
}

void StepContext::bind(Body& body, std::size_t input, ir::Datum value) {
  program_.set(program_.slots_[body.inputs[input]], std::move(value));
}

void StepContext::bind(Body& body, std::size_t input, Slot&& value) {
  program_.move(program_.slots_[body.inputs[input]], value);
}

Array& StepContext::bind_new(Body& body, std::size_t input, ir::ElementType type, const ir::Dims& dims) {
  Slot& slot = program_.slots_[body.inputs[input]];
  program_.clear(slot);
  slot.array.type = type;
  slot.array.dims = dims;
  slot.block = program_.arena_.allocate(checked_byte_size(type, dims), false);
  slot.array.data = slot.block->data;
  slot.kind = Slot::Kind::array;
  return slot.array;
}

void StepContext::run(Body& body) { program_.run_body(body, false); }

Slot StepContext::take(Body& body, std::size_t output) {
  Slot value;
  Slot& from = program_.slots_[body.outputs[output]];
  if (from.kind == Slot::Kind::empty) bad_input("output {} of a subgraph has no value", output);
  if (body.moves[output]) {
    program_.move(value, from);
  } else {
    program_.share(value, from);
  }
  return value;
}

const Array& StepContext::look(Body& body, std::size_t output) {
  Slot& slot = program_.slots_[body.outputs[output]];
  if (slot.kind != Slot::Kind::array) bad_input("output {} of a subgraph is no tensor", output);
  return program_.plain(slot);
}

void StepContext::finish(Body& body) {
  for (const std::uint32_t index : body.locals) program_.clear(program_.slots_[index]);
}

void StepContext::put(std::size_t output, Slot&& value) { program_.move(output_slot(output), value); }

Slot StepContext::view(std::size_t source, std::uint64_t offset, std::span<const std::int64_t> dims) {
  Slot& from = input_slot(source);
  const Array& array = input(source);
  Slot value;
  value.array.type = array.type;
  value.array.dims.assign(dims.begin(), dims.end());
  value.array.data = array.data + offset;
  value.array.owner = array.owner;
  value.block = from.array.layout ? from.plain->block : from.block;
  if (value.block) ++value.block->references;
  value.kind = Slot::Kind::array;
  return value;
}

}  // namespace hone::exec
