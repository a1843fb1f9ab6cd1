// If, Loop and Scan. Their bodies run in place, on the slots of the program around them: nothing is copied but what Scan
// cuts along an inner axis and what the iterations stack up.
#include <cstring>

#include "exec/arrays.h"
#include "exec/program.h"
#include "exec/reference/list.h"
#include "hone/support/threads.h"

namespace hone::exec {
namespace {

StepContext& in_program(Context& context) {
  auto* step = dynamic_cast<StepContext*>(&context);
  if (!step) fail(ErrorKind::internal, "control flow outside of a program");
  return *step;
}

template <typename T>
T scalar(const Array& array, ir::ElementType type, const char* what) {
  if (array.type != type || array.count() != 1) {
    bad_input("the {} is {}{}, not one {}", what, ir::name(array.type), ir::text(array.dims), ir::name(type));
  }
  return *array.as<T>();
}

bool condition(const Array& array) { return scalar<bool>(array, ir::ElementType::boolean, "condition"); }

// What an output of a body becomes over the iterations.
class Stack {
 public:
  void add(const Array& array) {
    if (count_ == 0) {
      type_ = array.type;
      dims_ = array.dims;
      if (ir::is_sub_byte(type_) &&
          array.byte_size() * 8 != static_cast<std::uint64_t>(array.count()) * ir::bit_width(type_)) {
        unsupported("stacking {} elements of {}, which end inside a byte", array.count(), ir::name(type_));
      }
    } else if (array.type != type_ || array.dims != dims_) {
      bad_input("an output of the body is {}{} now and was {}{} before", ir::name(array.type), ir::text(array.dims),
                ir::name(type_), ir::text(dims_));
    }
    ++count_;
    if (type_ == ir::ElementType::string) {
      strings_.insert(strings_.end(), array.strings->begin(), array.strings->end());
      return;
    }
    const std::uint64_t bytes = array.byte_size();
    if (bytes == 0) return;
    if (!buffer_ || buffer_->size() - used_ < bytes) {
      auto larger = std::make_unique<Buffer>(std::max(used_ * 2, used_ + bytes));
      if (used_ > 0) std::memcpy(larger->data(), buffer_->data(), used_);
      buffer_ = std::move(larger);
    }
    std::memcpy(buffer_->data() + used_, array.data, bytes);
    used_ += bytes;
  }

  // As output `index`: along a new axis, the first iteration last if `backward`. Without iterations, the declared shape
  // is all there is.
  void put(StepContext& context, std::size_t index, const ir::Value& declared, std::int64_t axis, bool backward) const {
    if (count_ == 0) {
      ir::Dims dims;
      if (declared.shape()) {
        for (const ir::Dimension& dim : *declared.shape())
          dims.push_back(std::max<std::int64_t>(dim.number().value_or(0), 0));
      }
      const auto rank = static_cast<std::int64_t>(dims.size()) + 1;
      if (axis < 0) axis += rank;
      if (axis < 0 || axis >= rank) bad_input("axis {} for an output of rank {}", axis, rank);
      dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), 0);
      const ir::ElementType type = declared.element_type();
      context.output(index, type == ir::ElementType::undefined ? ir::ElementType::float32 : type, dims);
      return;
    }
    ir::Dims dims = dims_;
    const auto rank = static_cast<std::int64_t>(dims.size()) + 1;
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) bad_input("axis {} for an output of rank {}", axis, rank);
    std::int64_t outer = 1;
    for (std::int64_t i = 0; i < axis; ++i) outer *= dims[static_cast<std::size_t>(i)];
    dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(axis), count_);
    Array& out = context.output(index, type_, dims);
    const auto source = [&](std::int64_t t) { return backward ? count_ - 1 - t : t; };
    if (type_ == ir::ElementType::string) {
      const auto each = static_cast<std::int64_t>(strings_.size()) / count_;
      const std::int64_t inner = outer > 0 ? each / outer : 0;
      for (std::int64_t o = 0; o < outer; ++o) {
        for (std::int64_t t = 0; t < count_; ++t) {
          for (std::int64_t i = 0; i < inner; ++i) {
            (*out.strings)[static_cast<std::size_t>((o * count_ + t) * inner + i)] =
                strings_[static_cast<std::size_t>(source(t) * each + o * inner + i)];
          }
        }
      }
      return;
    }
    if (used_ == 0) return;
    const std::uint64_t each = used_ / static_cast<std::uint64_t>(count_),
                        inner = each / static_cast<std::uint64_t>(outer);
    if (ir::is_sub_byte(type_) && outer > 1) unsupported("stacking {} along axis {}", ir::name(type_), axis);
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t t = 0; t < count_; ++t) {
        std::memcpy(
            out.data + static_cast<std::uint64_t>(o * count_ + t) * inner,
            buffer_->data() + static_cast<std::uint64_t>(source(t)) * each + static_cast<std::uint64_t>(o) * inner,
            inner);
      }
    }
  }

  // As the next part of one output that is being filled: `length` iterations' worth of room, zero where there were fewer.
  void copy_padded(std::byte* to, std::uint64_t room) const {
    if (used_ > 0) std::memcpy(to, buffer_->data(), used_);
    if (room > used_) std::memset(to + used_, 0, room - used_);
  }
  std::int64_t count() const { return count_; }
  ir::ElementType type() const { return type_; }
  const ir::Dims& dims() const { return dims_; }

 private:
  ir::ElementType type_ = ir::ElementType::undefined;
  ir::Dims dims_;
  std::int64_t count_ = 0;
  std::unique_ptr<Buffer> buffer_;
  std::uint64_t used_ = 0;
  std::vector<std::string> strings_;
};

void run_if(Context& base) {
  StepContext& context = in_program(base);
  Body& body = context.body(condition(context.input(0)) ? "then_branch" : "else_branch");
  if (body.outputs.size() < context.output_count()) {
    bad_input("a branch has {} outputs, the node {}", body.outputs.size(), context.output_count());
  }
  context.run(body);
  for (std::size_t i = 0; i < context.output_count(); ++i) {
    if (context.wants_output(i)) context.put(i, context.take(body, i));
  }
  context.finish(body);
}

void run_loop(Context& base) {
  StepContext& context = in_program(base);
  Body& body = context.body("body");
  const std::size_t carried = std::max<std::size_t>(context.input_count(), 2) - 2;
  if (body.inputs.size() != carried + 2 || body.outputs.size() < carried + 1 ||
      context.output_count() > body.outputs.size() - 1) {
    bad_input("{} carried values, a body of {} inputs and {} outputs", carried, body.inputs.size(),
              body.outputs.size());
  }
  const std::size_t stacked = body.outputs.size() - 1 - carried;
  const std::int64_t trips = context.has_input(0)
                                 ? scalar<std::int64_t>(context.input(0), ir::ElementType::int64, "trip count")
                                 : std::numeric_limits<std::int64_t>::max();
  bool go_on = context.has_input(1) ? condition(context.input(1)) : true;
  std::vector<Slot> state;
  for (std::size_t i = 0; i < carried; ++i) state.push_back(context.take_input(i + 2));
  std::vector<Stack> stacks(stacked);
  for (std::int64_t trip = 0; trip < trips && go_on; ++trip) {
    check_interrupt();
    *context.bind_new(body, 0, ir::ElementType::int64, {}).as<std::int64_t>() = trip;
    *context.bind_new(body, 1, ir::ElementType::boolean, {}).as<bool>() = go_on;
    for (std::size_t i = 0; i < carried; ++i) context.bind(body, i + 2, std::move(state[i]));
    context.run(body);
    go_on = condition(context.look(body, 0));
    for (std::size_t i = 0; i < stacked; ++i) stacks[i].add(context.look(body, 1 + carried + i));
    for (std::size_t i = 0; i < carried; ++i) state[i] = context.take(body, 1 + i);
    context.finish(body);
  }
  for (std::size_t i = 0; i < carried; ++i) {
    if (context.wants_output(i)) {
      context.put(i, std::move(state[i]));
    } else {
      context.drop(state[i]);
    }
  }
  for (std::size_t i = 0; i < stacked; ++i) {
    if (context.wants_output(carried + i))
      stacks[i].put(context, carried + i, *body.graph->outputs()[1 + carried + i], 0, false);
  }
}

// How a scan input is cut.
struct Cut {
  std::int64_t axis = 0, length = 0;
  bool backward = false;
  ir::Dims dims;  // without the axis
};

void bind_slice(StepContext& context, Body& body, std::size_t input, std::size_t source, const Cut& cut,
                std::int64_t at) {
  const Array& array = context.input(source);
  const std::int64_t index = cut.backward ? cut.length - 1 - at : at;
  std::int64_t outer = 1, inner = 1;
  for (std::size_t i = 0; i < cut.dims.size(); ++i)
    (static_cast<std::int64_t>(i) < cut.axis ? outer : inner) *= cut.dims[i];
  if (array.type == ir::ElementType::string) {
    std::vector<std::string> strings;
    for (std::int64_t o = 0; o < outer; ++o) {
      const auto first = array.strings->begin() + (o * cut.length + index) * inner;
      strings.insert(strings.end(), first, first + inner);
    }
    context.bind(body, input, ir::Tensor::strings(cut.dims, std::move(strings)));
    return;
  }
  if (ir::is_sub_byte(array.type)) unsupported("Scan over {}", ir::name(array.type));
  const std::uint64_t bytes = static_cast<std::uint64_t>(inner) * ir::bit_width(array.type) / 8;
  if (outer == 1) {
    context.bind(body, input, context.view(source, static_cast<std::uint64_t>(index) * bytes, cut.dims));
    return;
  }
  Array& slice = context.bind_new(body, input, array.type, cut.dims);
  for (std::int64_t o = 0; o < outer && bytes > 0; ++o) {
    std::memcpy(slice.data + static_cast<std::uint64_t>(o) * bytes,
                array.data + static_cast<std::uint64_t>(o * cut.length + index) * bytes, bytes);
  }
}

std::int64_t at_or(const std::vector<std::int64_t>& values, std::size_t index, std::int64_t fallback) {
  return index < values.size() ? values[index] : fallback;
}

void run_scan(Context& base) {
  StepContext& context = in_program(base);
  const ir::Node& node = context.node();
  Body& body = context.body("body");
  const std::int64_t scans = node.int_or("num_scan_inputs", 0);
  if (scans < 1 || static_cast<std::size_t>(scans) > context.input_count()) bad_input("num_scan_inputs is {}", scans);
  const std::size_t scanned = static_cast<std::size_t>(scans), states = context.input_count() - scanned;
  if (body.inputs.size() != context.input_count() || body.outputs.size() < states ||
      context.output_count() > body.outputs.size()) {
    bad_input("{} inputs, a body of {} inputs and {} outputs", context.input_count(), body.inputs.size(),
              body.outputs.size());
  }
  const auto axes = node.ints_or("scan_input_axes", {}), directions = node.ints_or("scan_input_directions", {});
  const auto output_axes = node.ints_or("scan_output_axes", {}),
             output_directions = node.ints_or("scan_output_directions", {});
  std::vector<Cut> cuts(scanned);
  for (std::size_t i = 0; i < scanned; ++i) {
    const Array& array = context.input(states + i);
    const auto rank = static_cast<std::int64_t>(array.rank());
    std::int64_t axis = at_or(axes, i, 0);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) bad_input("scan axis {} of an input of rank {}", axis, rank);
    cuts[i] = {axis, array.dims[static_cast<std::size_t>(axis)], at_or(directions, i, 0) != 0, array.dims};
    cuts[i].dims.erase(cuts[i].dims.begin() + static_cast<std::ptrdiff_t>(axis));
    if (cuts[i].length != cuts[0].length) {
      bad_input("scan inputs of {} and {} elements along their axes", cuts[0].length, cuts[i].length);
    }
  }
  std::vector<Slot> state;
  for (std::size_t i = 0; i < states; ++i) state.push_back(context.take_input(i));
  std::vector<Stack> stacks(body.outputs.size() - states);
  for (std::int64_t t = 0; t < cuts[0].length; ++t) {
    check_interrupt();
    for (std::size_t i = 0; i < states; ++i) context.bind(body, i, std::move(state[i]));
    for (std::size_t i = 0; i < scanned; ++i) bind_slice(context, body, states + i, states + i, cuts[i], t);
    context.run(body);
    for (std::size_t i = 0; i < stacks.size(); ++i) stacks[i].add(context.look(body, states + i));
    for (std::size_t i = 0; i < states; ++i) state[i] = context.take(body, i);
    context.finish(body);
  }
  for (std::size_t i = 0; i < states; ++i) {
    if (context.wants_output(i)) {
      context.put(i, std::move(state[i]));
    } else {
      context.drop(state[i]);
    }
  }
  for (std::size_t i = 0; i < stacks.size(); ++i) {
    if (!context.wants_output(states + i)) continue;
    stacks[i].put(context, states + i, *body.graph->outputs()[states + i], at_or(output_axes, i, 0),
                  at_or(output_directions, i, 0) != 0);
  }
}

// Version 8: every input has a batch axis first, scan inputs the sequence axis second; sequences may be shorter than the
// longest, and outputs are zero past their ends.
void run_scan_8(Context& base) {
  StepContext& context = in_program(base);
  const ir::Node& node = context.node();
  Body& body = context.body("body");
  const std::int64_t scans = node.int_or("num_scan_inputs", 0);
  if (scans < 1 || static_cast<std::size_t>(scans) + 1 > context.input_count())
    bad_input("num_scan_inputs is {}", scans);
  const std::size_t scanned = static_cast<std::size_t>(scans), states = context.input_count() - 1 - scanned;
  if (body.inputs.size() != states + scanned || body.outputs.size() < states ||
      context.output_count() > body.outputs.size()) {
    bad_input("{} inputs, a body of {} inputs and {} outputs", states + scanned, body.inputs.size(),
              body.outputs.size());
  }
  const auto directions = node.ints_or("directions", {});
  const ir::Dims first = context.input(1 + states).dims;
  if (first.size() < 2) bad_input("a scan input of rank {}", first.size());
  const std::int64_t batch = first[0], longest = first[1];
  for (std::size_t i = 0; i < states + scanned; ++i) {
    const Array& array = context.input(1 + i);
    if (array.rank() < (i < states ? 1u : 2u) || array.dims[0] != batch || (i >= states && array.dims[1] != longest) ||
        ir::is_sub_byte(array.type) || array.type == ir::ElementType::string) {
      bad_input("input {} is {}{}", 1 + i, ir::name(array.type), ir::text(array.dims));
    }
  }
  std::vector<Stack> finals(states);
  std::vector<std::vector<Stack>> stacks(body.outputs.size() - states);
  for (std::int64_t b = 0; b < batch; ++b) {
    std::int64_t length = longest;
    if (context.has_input(0)) {
      const Array& lengths = context.input(0);
      if (lengths.type != ir::ElementType::int64 || lengths.count() != batch)
        bad_input("sequence_lens is no int64[{}]", batch);
      length = lengths.as<std::int64_t>()[b];
      if (length < 0 || length > longest) bad_input("a sequence of length {} of at most {}", length, longest);
    }
    const auto part = [&](std::size_t source, std::size_t axes, std::int64_t at) {
      const Array& array = context.input(source);
      const ir::Dims dims(array.dims.begin() + static_cast<std::ptrdiff_t>(axes), array.dims.end());
      std::int64_t count = 1;
      for (const std::int64_t dim : dims) count *= dim;
      return context.view(source, static_cast<std::uint64_t>(at * count) * ir::bit_width(array.type) / 8, dims);
    };
    for (auto& each : stacks) each.emplace_back();
    std::vector<Slot> state;
    for (std::size_t i = 0; i < states; ++i) state.push_back(part(1 + i, 1, b));
    for (std::int64_t t = 0; t < length; ++t) {
      check_interrupt();
      for (std::size_t i = 0; i < states; ++i) context.bind(body, i, std::move(state[i]));
      for (std::size_t i = 0; i < scanned; ++i) {
        const std::int64_t at = at_or(directions, i, 0) != 0 ? length - 1 - t : t;
        context.bind(body, states + i, part(1 + states + i, 2, b * longest + at));
      }
      context.run(body);
      for (std::size_t i = 0; i < stacks.size(); ++i) stacks[i].back().add(context.look(body, states + i));
      for (std::size_t i = 0; i < states; ++i) state[i] = context.take(body, i);
      context.finish(body);
    }
    for (std::size_t i = 0; i < states; ++i) {
      finals[i].add(state[i].array);
      context.drop(state[i]);
    }
  }
  for (std::size_t i = 0; i < states; ++i) {
    if (context.wants_output(i)) finals[i].put(context, i, *body.graph->outputs()[i], 0, false);
  }
  for (std::size_t i = 0; i < stacks.size(); ++i) {
    if (!context.wants_output(states + i)) continue;
    const ir::Value& declared = *body.graph->outputs()[states + i];
    ir::Dims dims = {batch, longest};
    ir::ElementType type = declared.element_type();
    for (const Stack& each : stacks[i]) {
      if (each.count() == 0) continue;
      type = each.type();
      dims = {batch, longest};
      dims.insert(dims.end(), each.dims().begin(), each.dims().end());
    }
    Array& out = context.output(states + i, type, dims);
    const std::uint64_t room = batch > 0 ? out.byte_size() / static_cast<std::uint64_t>(batch) : 0;
    for (std::size_t b = 0; b < stacks[i].size(); ++b) stacks[i][b].copy_padded(out.data + b * room, room);
  }
}

}  // namespace

std::span<const KernelEntry> control_flow_kernels() {
  static constexpr KernelEntry entries[] = {
      {"If", 1, stateless<run_if>},
      {"Loop", 1, stateless<run_loop>},
      {"Scan", 8, stateless<run_scan_8>, 8},
      {"Scan", 9, stateless<run_scan>},
  };
  return entries;
}

}  // namespace hone::exec
