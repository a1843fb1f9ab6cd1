// Sequences and optionals: SequenceConstruct SequenceEmpty SequenceAt SequenceInsert SequenceErase SequenceLength
// SplitToSequence ConcatFromSequence SequenceMap, Optional OptionalHasElement OptionalGetElement.
//
// Elements are shared, not copied.
#include "exec/arrays.h"
#include "exec/reference/list.h"
#include "exec/reference/strided.h"

namespace hone::exec {
namespace {

const ir::Sequence& sequence_input(Context& context, std::size_t index) {
  const ir::Sequence* sequence = context.datum(index).sequence();
  if (!sequence) bad_input("input {} is no sequence", index);
  return *sequence;
}

// A position counted from the end where it is negative; below `bound`.
std::size_t position(Context& context, std::size_t index, std::size_t bound) {
  const std::int64_t given = read_int(context.input(index)), count = static_cast<std::int64_t>(bound);
  if (given < -count || given >= count) bad_input("position {} in a sequence with {} places", given, count);
  return static_cast<std::size_t>(given < 0 ? given + count : given);
}

void sequence_construct(Context& context) {
  ir::Sequence sequence;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    sequence.items.push_back(context.datum(i));
    const ir::Tensor* tensor = sequence.items.back().tensor();
    if (!tensor) continue;
    if (i == 0) sequence.element = ir::Type::tensor(tensor->type());
    if (sequence.element.element != tensor->type())
      bad_input("tensors of {} and {}", ir::name(sequence.element.element), ir::name(tensor->type()));
  }
  context.set_output(0, std::move(sequence));
}

void sequence_empty(Context& context) {
  ir::Sequence sequence;
  sequence.element = ir::Type::tensor(type_attribute(context.node(), "dtype", ir::ElementType::float32));
  context.set_output(0, std::move(sequence));
}

void sequence_at(Context& context) {
  const ir::Sequence& sequence = sequence_input(context, 0);
  context.set_output(0, sequence.items[position(context, 1, sequence.items.size())]);
}

void sequence_insert(Context& context) {
  ir::Sequence sequence = sequence_input(context, 0);
  const std::size_t size = sequence.items.size();
  std::size_t at = size;
  if (context.has_input(2)) {  // from -size to size: the end itself is a place, too
    const std::int64_t given = read_int(context.input(2)), count = static_cast<std::int64_t>(size);
    if (given < -count || given > count) bad_input("position {} in a sequence of {}", given, count);
    at = static_cast<std::size_t>(given < 0 ? given + count : given);
  }
  sequence.items.insert(sequence.items.begin() + static_cast<std::ptrdiff_t>(at), context.datum(1));
  context.set_output(0, std::move(sequence));
}

void sequence_erase(Context& context) {
  ir::Sequence sequence = sequence_input(context, 0);
  if (sequence.items.empty()) bad_input("the sequence is empty");
  const std::size_t at = context.has_input(1) ? position(context, 1, sequence.items.size()) : sequence.items.size() - 1;
  sequence.items.erase(sequence.items.begin() + static_cast<std::ptrdiff_t>(at));
  context.set_output(0, std::move(sequence));
}

void sequence_length(Context& context) {
  const auto length = static_cast<std::int64_t>(sequence_input(context, 0).items.size());
  *context.output(0, ir::ElementType::int64, {}).as<std::int64_t>() = length;
}

// An array with memory of its own.
Array owned(ir::ElementType type, ir::Dims dims) {
  Array array;
  array.type = type;
  array.dims = std::move(dims);
  const std::uint64_t bytes = checked_byte_size(type, array.dims);
  if (type == ir::ElementType::string) {
    array.strings = std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(array.count()));
  } else if (bytes > 0) {
    auto buffer = std::make_shared<Buffer>(bytes);
    array.data = buffer->data();
    array.owner = owner_of(std::move(buffer));
  }
  return array;
}

void split_to_sequence(Context& context) {
  const Array& in = context.input(0);
  const std::size_t axis = checked_axis(context.node().int_or("axis", 0), in.rank());
  const std::int64_t dim = in.dims[axis];
  ir::Dims parts;
  bool drop_axis = false;
  if (!context.has_input(1)) {
    require_memory(static_cast<std::uint64_t>(dim) * sizeof(std::int64_t), "the parts of a sequence");
    parts.assign(static_cast<std::size_t>(dim), 1);
    drop_axis = !flag(context.node(), "keepdims", true);
  } else if (context.input(1).rank() == 0) {
    const std::int64_t length = read_int(context.input(1));
    if (length < 1) bad_input("parts of {} elements", length);
    for (std::int64_t at = 0; at < dim; at += length) parts.push_back(std::min(length, dim - at));
  } else {
    parts = read_ints(context.input(1));
    std::int64_t sum = 0;
    for (const std::int64_t part : parts) {
      if (part < 0) bad_input("a part of {} elements", part);
      sum = size_sum(sum, part);
    }
    if (sum != dim) bad_input("parts of {} elements in all for {} elements", sum, dim);
  }
  const ir::Dims steps = strides(in.dims);
  ir::Sequence sequence;
  sequence.element = ir::Type::tensor(in.type);
  std::int64_t at = 0;
  for (const std::int64_t part : parts) {
    ir::Dims dims = in.dims;
    dims[axis] = part;
    Array piece = owned(in.type, dims);
    copy_strided(context, in, part == 0 ? 0 : at * steps[axis], dims, steps, piece);
    at += part;
    if (drop_axis) piece.dims.erase(piece.dims.begin() + static_cast<std::ptrdiff_t>(axis));
    sequence.items.emplace_back(to_tensor(piece));
  }
  context.set_output(0, std::move(sequence));
}

void concat_from_sequence(Context& context) {
  const ir::Sequence& sequence = sequence_input(context, 0);
  if (sequence.items.empty()) bad_input("the sequence is empty");
  const bool new_axis = flag(context.node(), "new_axis", false);
  std::vector<Array> parts;
  for (const ir::Datum& item : sequence.items) {
    if (!item.tensor()) bad_input("an element of the sequence is no tensor");
    parts.push_back(to_array(*item.tensor()));
  }
  const std::size_t axis = checked_axis(required_int(context.node(), "axis"), parts[0].rank() + (new_axis ? 1 : 0));
  for (Array& part : parts) {
    if (part.type != parts[0].type) bad_input("tensors of {} and {}", ir::name(parts[0].type), ir::name(part.type));
    if (new_axis && axis <= part.rank()) part.dims.insert(part.dims.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  }
  ir::Dims dims = parts[0].dims;
  dims[axis] = 0;
  for (const Array& part : parts) {
    bool fits = part.rank() == dims.size();
    for (std::size_t d = 0; fits && d < dims.size(); ++d) fits = d == axis || part.dims[d] == dims[d];
    if (!fits) bad_input("shapes {} and {} differ beside axis {}", ir::text(parts[0].dims), ir::text(part.dims), axis);
    dims[axis] = size_sum(dims[axis], part.dims[axis]);
  }
  Array& out = context.output(0, parts[0].type, dims);
  if (product(dims) == 0) return;
  const std::int64_t rows = product(dims, 0, axis), inner = product(dims, axis + 1, dims.size());
  dispatch_moved(context, out.type, [&]<typename T>() {
    T* to = moved<T>(out);
    for (const Array& part : parts) {
      const std::int64_t length = part.dims[axis] * inner;
      for (std::int64_t r = 0; r < rows && length > 0; ++r) {
        std::copy_n(moved<T>(part) + r * length, length, to + r * dims[axis] * inner);
      }
      to += length;
    }
  });
}

// The body runs for every element of the first sequence; other sequences go along, tensors stay.
void sequence_map(Context& context) {
  const std::size_t length = sequence_input(context, 0).items.size();
  std::vector<ir::Sequence> results(context.output_count());
  const ir::Graph* body = context.node().subgraph("body");
  if (!body) bad_input("no body");
  if (body->outputs().size() != results.size()) {
    bad_input("a body of {} outputs for {} outputs", body->outputs().size(), results.size());
  }
  for (std::size_t i = 0; i < length; ++i) {
    check_interrupt();
    std::vector<ir::Datum> inputs;
    for (std::size_t k = 0; k < context.input_count(); ++k) {
      const ir::Datum& datum = context.datum(k);
      const ir::Sequence* sequence = datum.sequence();
      if (sequence && sequence->items.size() != length) {
        bad_input("sequences of {} and {} elements", length, sequence->items.size());
      }
      inputs.push_back(sequence ? sequence->items[i] : datum);
    }
    std::vector<ir::Datum> outputs = context.run_subgraph("body", std::move(inputs));
    for (std::size_t k = 0; k < results.size(); ++k) results[k].items.push_back(std::move(outputs.at(k)));
  }
  for (std::size_t k = 0; k < results.size(); ++k) {
    if (!context.wants_output(k)) continue;
    results[k].element = length > 0 && results[k].items[0].tensor()
                             ? ir::Type::tensor(results[k].items[0].tensor()->type())
                             : body->outputs()[k]->type();
    context.set_output(k, std::move(results[k]));
  }
}

void make_optional(Context& context) {
  ir::Optional optional;
  if (context.has_input(0)) optional.value = std::make_shared<const ir::Datum>(context.datum(0));
  context.set_output(0, std::move(optional));
}
void optional_has_element(Context& context) {
  bool has = context.has_input(0);
  if (has && !context.is_tensor(0)) {
    const ir::Optional* optional = context.datum(0).optional();
    has = !optional || optional->value;
  }
  *context.output(0, ir::ElementType::boolean, {}).as<bool>() = has;
}
void optional_get_element(Context& context) {
  if (context.is_tensor(0)) return context.forward(0, 0, context.input(0).dims);
  const ir::Datum& datum = context.datum(0);
  const ir::Optional* optional = datum.optional();
  if (!optional) return context.set_output(0, datum);
  if (!optional->value) bad_input("the optional is empty");
  context.set_output(0, *optional->value);
}

}  // namespace

std::span<const KernelEntry> sequence_kernels() {
  static constexpr KernelEntry entries[] = {
      {"SequenceConstruct", 11, stateless<sequence_construct>},
      {"SequenceEmpty", 11, stateless<sequence_empty>},
      {"SequenceAt", 11, stateless<sequence_at>},
      {"SequenceInsert", 11, stateless<sequence_insert>},
      {"SequenceErase", 11, stateless<sequence_erase>},
      {"SequenceLength", 11, stateless<sequence_length>},
      {"SplitToSequence", 11, stateless<split_to_sequence>},
      {"ConcatFromSequence", 11, stateless<concat_from_sequence>},
      {"SequenceMap", 17, stateless<sequence_map>},
      {"Optional", 15, stateless<make_optional>},
      {"OptionalHasElement", 15, stateless<optional_has_element>},
      {"OptionalGetElement", 15, stateless<optional_get_element>},
  };
  return entries;
}

}  // namespace hone::exec
