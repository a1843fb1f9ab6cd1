// The fused node "Elementwise" (exec/fuse_elementwise.h) on AVX2: a program over blocks that stay in the first-level cache,
// so that memory is read and written once. It runs in the layout of an operand that has the result's shape, if that layout
// has no padding; operands that broadcast are spread into a block. Instructions whose results are smaller than the node's
// run before, each as a pass of its own.
//
// Each element is computed alone and always on vector registers: results don't depend on threads or on what is beside it.
// Given to the fallback at run time: other element types, empty tensors, shapes that don't broadcast.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "exec/fuse.h"
#include "exec/fuse_elementwise.h"
#include "exec/onednn/avx2.h"
#include "exec/onednn/families.h"
#include "exec/onednn/runtime.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

#ifdef HONE_HAS_AVX2
namespace {

using namespace avx2;
using Kind = Instruction::Kind;

template <typename F>
HONE_AVX2_INLINE void map(const float* a, float* out, std::int64_t count, const F& f) {
  for (std::int64_t i = 0; i < count; i += lanes) store(out + i, f(load(a + i)));
}
template <typename F>
HONE_AVX2_INLINE void map(const float* a, const float* b, float* out, std::int64_t count, const F& f) {
  for (std::int64_t i = 0; i < count; i += lanes) store(out + i, f(load(a + i), load(b + i)));
}

// Lambdas don't take over the target of the function around them.
#define HONE_UNARY(name, expression)                     \
  struct name {                                          \
    Vector alpha, beta;                                  \
    HONE_AVX2_INLINE Vector operator()(Vector x) const { \
      (void)this;                                        \
      return expression;                                 \
    }                                                    \
  }
#define HONE_BINARY(name, expression)                                                   \
  struct name {                                                                         \
    HONE_AVX2_INLINE Vector operator()(Vector x, Vector y) const { return expression; } \
  }
HONE_BINARY(Add, x + y);
HONE_BINARY(Subtract, x - y);
HONE_BINARY(Multiply, x* y);
HONE_BINARY(Divide, x / y);
// NaN wins.
HONE_BINARY(Minimum, select((x < y) | (x != x), x, y));
HONE_BINARY(Maximum, select((x > y) | (x != x), x, y));
HONE_UNARY(Negate, -x);
HONE_UNARY(Magnitude, magnitude(x));
HONE_UNARY(Square, x* x);
HONE_UNARY(Cube, x* x* x);
HONE_UNARY(SquareRoot, (Vector)_mm256_sqrt_ps((__m256)x));
HONE_UNARY(Reciprocal, all(1.0F) / x);
HONE_UNARY(Exponential, exponential(x));
HONE_UNARY(Logarithm, logarithm(x));
HONE_UNARY(ErrorFunction, error_function(x));
HONE_UNARY(Sigmoid, sigmoid(x));
HONE_UNARY(HyperbolicTangent, hyperbolic_tangent(x));
HONE_UNARY(Relu, larger(all(0.0F), x));
HONE_UNARY(LeakyRelu, select(x < all(0.0F), x* alpha, x));
HONE_UNARY(Clip, smaller(beta, larger(alpha, x)));
HONE_UNARY(HardSigmoid, smaller(all(1.0F), larger(all(0.0F), alpha* x + beta)));
HONE_UNARY(HardSwish, x* smaller(all(1.0F), larger(all(0.0F), alpha* x + beta)));
HONE_UNARY(Swish, x* sigmoid(alpha* x));
HONE_UNARY(GeluErf, all(0.5F) * x * (all(1.0F) + error_function(x * all(0.707106781F))));
HONE_UNARY(GeluTanh,
           all(0.5F) * x * (all(1.0F) + hyperbolic_tangent(all(0.797884561F) * (x + all(0.044715F) * x * x * x))));
#undef HONE_UNARY
#undef HONE_BINARY

// `count` is a multiple of `lanes`.
HONE_AVX2 void compute(const Instruction& step, const float* a, const float* b, float* out, std::int64_t count) {
  const Vector alpha = all(step.alpha), beta = all(step.beta);
  switch (step.kind) {
    case Kind::add:
      return map(a, b, out, count, Add{});
    case Kind::subtract:
      return map(a, b, out, count, Subtract{});
    case Kind::multiply:
      return map(a, b, out, count, Multiply{});
    case Kind::divide:
      return map(a, b, out, count, Divide{});
    case Kind::minimum:
      return map(a, b, out, count, Minimum{});
    case Kind::maximum:
      return map(a, b, out, count, Maximum{});
    case Kind::negate:
      return map(a, out, count, Negate{alpha, beta});
    case Kind::magnitude:
      return map(a, out, count, Magnitude{alpha, beta});
    case Kind::square:
      return map(a, out, count, Square{alpha, beta});
    case Kind::cube:
      return map(a, out, count, Cube{alpha, beta});
    case Kind::square_root:
      return map(a, out, count, SquareRoot{alpha, beta});
    case Kind::reciprocal:
      return map(a, out, count, Reciprocal{alpha, beta});
    case Kind::exponential:
      return map(a, out, count, Exponential{alpha, beta});
    case Kind::logarithm:
      return map(a, out, count, Logarithm{alpha, beta});
    case Kind::error_function:
      return map(a, out, count, ErrorFunction{alpha, beta});
    case Kind::sigmoid:
      return map(a, out, count, Sigmoid{alpha, beta});
    case Kind::hyperbolic_tangent:
      return map(a, out, count, HyperbolicTangent{alpha, beta});
    case Kind::relu:
      return map(a, out, count, Relu{alpha, beta});
    case Kind::leaky_relu:
      return map(a, out, count, LeakyRelu{alpha, beta});
    case Kind::clip:
      return map(a, out, count, Clip{alpha, beta});
    case Kind::hard_sigmoid:
      return map(a, out, count, HardSigmoid{alpha, beta});
    case Kind::hard_swish:
      return map(a, out, count, HardSwish{alpha, beta});
    case Kind::swish:
      return map(a, out, count, Swish{alpha, beta});
    case Kind::gelu_erf:
      return map(a, out, count, GeluErf{alpha, beta});
    case Kind::gelu_tanh:
      return map(a, out, count, GeluTanh{alpha, beta});
  }
}

bool is_costly(Kind kind) {
  switch (kind) {
    case Kind::exponential:
    case Kind::logarithm:
    case Kind::error_function:
    case Kind::sigmoid:
    case Kind::hyperbolic_tangent:
    case Kind::swish:
    case Kind::gelu_erf:
    case Kind::gelu_tanh:
    case Kind::divide:
    case Kind::square_root:
    case Kind::reciprocal:
      return true;
    default:
      return false;
  }
}

// A dimension as it lies in memory: `step` elements of the logical dimension `axis` apart.
struct Place {
  std::size_t axis = 0;
  std::int64_t size = 1, step = 1;
};

// How a layout lies in memory, outermost first; nullopt with padding, or in a way this is no word for.
std::optional<std::vector<Place>> places_of(const Desc& desc) {
  const auto dims = desc.get_dims();
  if (desc.get_inner_nblks() > 1 || desc.get_padded_dims() != dims) return std::nullopt;
  const bool blocked = desc.get_inner_nblks() == 1;
  const auto axis = blocked ? static_cast<std::size_t>(desc.get_inner_idxs()[0]) : dims.size();
  const std::int64_t block = blocked ? desc.get_inner_blks()[0] : 1;
  const auto strides = desc.get_strides();
  std::vector<std::pair<std::int64_t, Place>> order;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    const std::int64_t step = d == axis ? block : 1, size = dims[d] / step;
    if (size > 1) order.push_back({strides[d], {d, size, step}});
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::int64_t dense = block;
  for (auto each = order.rbegin(); each != order.rend(); ++each) {
    if (each->first != dense) return std::nullopt;
    dense *= each->second.size;
  }
  std::vector<Place> places;
  for (const auto& each : order) places.push_back(each.second);
  if (blocked) places.push_back({axis, block, 1});
  return places;
}

std::vector<Place> row_major_places(const ir::Dims& dims) {
  std::vector<Place> places;
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] > 1) places.push_back({d, dims[d], 1});
  }
  return places;
}

// What an instruction of a pass reads: memory like the result's, or to be spread over the result's shape.
struct Source {
  std::int64_t value = 0;  // an input, or an earlier pass as -1 - index
  bool like_result = false;
  std::vector<std::int64_t> sizes, strides;  // outermost first; neighbours that are one run are merged
};

HONE_AVX2 void repeat(const float* eight, std::int64_t times, float* to) {
  const Vector x = load(eight);
  for (std::int64_t i = 0; i < times; ++i) store(to + i * lanes, x);
}

// The `count` elements from `first` on, in the order of the result.
void spread(const Source& source, const float* from, std::int64_t first, std::int64_t count, float* to) {
  const std::size_t rank = source.sizes.size();
  if (rank == 0) {
    std::fill_n(to, count, from[0]);
    return;
  }
  const std::int64_t inner = source.sizes[rank - 1], stride = source.strides[rank - 1];
  while (count > 0) {
    std::int64_t at = first / inner, offset = 0;
    const std::int64_t start = first % inner, length = std::min(inner - start, count);
    for (std::size_t d = rank - 1; d-- > 0;) {
      offset += at % source.sizes[d] * source.strides[d];
      at /= source.sizes[d];
    }
    const float* row = from + offset + start * stride;
    if (inner == lanes && stride == 1 && start == 0 && count >= lanes && rank > 1 && source.strides[rank - 2] == 0) {
      // A value for each channel of a block, at many places.
      const std::int64_t size = source.sizes[rank - 2], place = first / inner % size;
      const std::int64_t times = std::min(size - place, count / lanes);
      repeat(row, times, to);
      to += times * lanes;
      first += times * lanes;
      count -= times * lanes;
      continue;
    }
    if (stride == 0) {
      std::fill_n(to, length, *row);
    } else if (stride == 1) {
      std::memcpy(to, row, static_cast<std::size_t>(length) * sizeof(float));
    } else {
      for (std::int64_t i = 0; i < length; ++i) to[i] = row[i * stride];
    }
    to += length;
    first += length;
    count -= length;
  }
}

// Operands of a step: buffers from 0 on, sources as -1 - index.
struct Pass {
  std::int64_t count = 1, block = lanes;
  double seconds = 0;  // on one thread, roughly
  std::vector<Instruction> steps;
  std::vector<std::int64_t> targets;  // buffer of each step's result; the last one's is the output
  std::vector<Source> sources;
  std::int64_t buffers = 0;  // those of sources that are spread come after them
};

void execute(const Pass& pass, const std::vector<const float*>& data, float* out) {
  const std::int64_t blocks = (pass.count - 1) / pass.block + 1;
  const std::int64_t parts = worthwhile_threads(pass.seconds);
  parallel_for(blocks, (blocks - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    const auto sources = static_cast<std::int64_t>(pass.sources.size());
    const auto memory =
        std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>((pass.buffers + sources) * pass.block));
    std::vector<const float*> operands(pass.sources.size());
    const auto buffer = [&](std::int64_t index) { return memory.get() + index * pass.block; };
    for (std::size_t s = 0; s < operands.size(); ++s) {
      // The same in every block.
      if (!pass.sources[s].sizes.empty() || pass.sources[s].like_result) continue;
      std::fill_n(buffer(pass.buffers + static_cast<std::int64_t>(s)), pass.block, data[s][0]);
      operands[s] = buffer(pass.buffers + static_cast<std::int64_t>(s));
    }
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t first = b * pass.block, count = std::min(pass.block, pass.count - first);
      const std::int64_t padded = (count + lanes - 1) / lanes * lanes;
      for (std::size_t s = 0; s < operands.size(); ++s) {
        const Source& source = pass.sources[s];
        float* to = buffer(pass.buffers + static_cast<std::int64_t>(s));
        if (source.like_result && padded == count) {
          operands[s] = data[s] + first;
        } else if (source.like_result) {
          std::memcpy(to, data[s] + first, static_cast<std::size_t>(count) * sizeof(float));
          operands[s] = to;
        } else if (!source.sizes.empty()) {
          spread(source, data[s], first, count, to);
          operands[s] = to;
        }
      }
      const auto operand = [&](std::int64_t at) {
        return at < 0 ? operands[static_cast<std::size_t>(-1 - at)] : buffer(at);
      };
      for (std::size_t i = 0; i < pass.steps.size(); ++i) {
        const bool last = i + 1 == pass.steps.size();
        float* target = last && padded == count ? out + first : buffer(pass.targets[i]);
        compute(pass.steps[i], operand(pass.steps[i].a), operand(pass.steps[i].b), target, padded);
        if (last && padded != count) std::memcpy(out + first, target, static_cast<std::size_t>(count) * sizeof(float));
      }
    }
  });
}

std::optional<ir::Dims> broadcast(const ir::Dims& a, const ir::Dims& b) {
  ir::Dims result(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) return std::nullopt;
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

// Where the elements of row-major memory are, in the order of a result.
Source spread_source(const ir::Dims& dims, const ir::Dims& result, const std::vector<Place>& places) {
  std::vector<std::int64_t> strides(result.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const std::int64_t dim = dims[dims.size() - 1 - i];
    if (dim > 1) strides[result.size() - 1 - i] = stride;
    stride *= dim;
  }
  Source source;
  for (const Place& place : places) {
    const std::int64_t step = strides[place.axis] * place.step;
    if (!source.sizes.empty() && source.strides.back() == step * place.size) {
      source.sizes.back() *= place.size;
      source.strides.back() = step;
    } else {
      source.sizes.push_back(place.size);
      source.strides.push_back(step);
    }
  }
  if (source.sizes.size() == 1 && source.strides[0] == 0) source.sizes.clear();
  source.like_result = source.sizes.size() == 1 && source.strides[0] == 1;
  return source;
}

class Expression final : public Kernel {
 public:
  explicit Expression(const KernelInfo& info) : fallback_(info), program_(read_program(info.node)) {}

  std::string name() const override { return "avx2"; }

  void run(Context& context) override {
    const std::size_t inputs = context.input_count();
    shapes_.begin_key();
    for (std::size_t i = 0; i < inputs; ++i) {
      if (!context.is_tensor(i)) return fallback_.run(context);
      const Array& x = context.raw_input(i);
      if (x.type != ir::ElementType::float32 || x.count() == 0) return fallback_.run(context);
      shapes_.add(x);
    }
    Entry* entry = shapes_.find();
    if (!entry) {
      std::vector<const Array*> arrays;
      std::vector<std::shared_ptr<const Layout>> keep;
      for (std::size_t i = 0; i < inputs; ++i) {
        arrays.push_back(&context.raw_input(i));
        keep.push_back(arrays.back()->layout);
      }
      entry = &shapes_.insert(plan(arrays), std::move(keep));
    }
    if (entry->passes.empty()) return fallback_.run(context);

    std::vector<const float*> values(inputs), temporaries;
    for (std::size_t i = 0; i < inputs; ++i) {
      const bool raw = entry->layout && context.raw_input(i).layout == entry->layout;
      values[i] = (raw ? context.raw_input(i) : context.input(i)).as<float>();
    }
    std::vector<const float*> data;
    for (const Pass& pass : entry->passes) {
      data.clear();
      for (const Source& source : pass.sources) {
        data.push_back(source.value >= 0 ? values[static_cast<std::size_t>(source.value)]
                                         : temporaries[static_cast<std::size_t>(-1 - source.value)]);
      }
      float* to = nullptr;
      if (&pass != &entry->passes.back()) {
        to = reinterpret_cast<float*>(context.scratch(static_cast<std::uint64_t>(pass.count) * sizeof(float)));
        temporaries.push_back(to);
      } else {
        const auto over = static_cast<std::size_t>(std::max<std::int64_t>(entry->over, 0));
        Array& out = entry->layout ? context.output_over_with_layout(0, over, ir::ElementType::float32, entry->dims,
                                                                     entry->layout)
                     : entry->over >= 0 ? context.output_over(0, over, ir::ElementType::float32, entry->dims)
                                        : context.output(0, ir::ElementType::float32, entry->dims);
        to = out.as<float>();
      }
      execute(pass, data, to);
    }
  }

 private:
  struct Entry {
    std::vector<Pass> passes;  // the last one gives the output; none: the fallback takes these shapes
    ir::Dims dims;
    std::shared_ptr<const Layout> layout;  // of the output and of inputs like it; null: row-major
    std::int64_t over = -1;                // an input that the output may be written over
  };

  Entry plan(const std::vector<const Array*>& inputs) const {
    Entry entry;
    std::vector<ir::Dims> dims;
    const auto dims_of = [&](std::int64_t at) -> const ir::Dims& {
      return at >= 0 ? inputs[static_cast<std::size_t>(at)]->dims : dims[static_cast<std::size_t>(-1 - at)];
    };
    for (const Instruction& each : program_) {
      auto result = broadcast(dims_of(each.a), dims_of(each.b));
      if (!result) return entry;
      dims.push_back(std::move(*result));
    }
    entry.dims = dims.back();
    std::vector<Place> places = row_major_places(entry.dims);
    for (const Array* each : inputs) {
      if (!each->layout || each->dims != entry.dims) continue;
      auto found = places_of(desc_of(*each));
      if (!found) continue;
      places = std::move(*found);
      entry.layout = each->layout;
      break;
    }

    // Smaller results first, then all of the output's shape at once.
    std::vector<std::int64_t> pass_of(program_.size(), -1);
    for (std::size_t i = 0; i < program_.size(); ++i) {
      if (dims[i] == entry.dims) continue;
      Pass pass;
      Instruction step = program_[i];
      for (std::int64_t* operand : {&step.a, &step.b}) {
        Source source = spread_source(dims_of(*operand), dims[i], row_major_places(dims[i]));
        source.value = *operand >= 0 ? *operand : -1 - pass_of[static_cast<std::size_t>(-1 - *operand)];
        pass.sources.push_back(std::move(source));
        *operand = -static_cast<std::int64_t>(pass.sources.size());
      }
      pass.steps = {step};
      pass.targets = {0};
      pass.buffers = 1;
      measure(pass, dims[i]);
      pass_of[i] = static_cast<std::int64_t>(entry.passes.size());
      entry.passes.push_back(std::move(pass));
    }
    // A small result that comes out in the layout's order only where the layout is row-major.
    entry.passes.push_back(main_pass(inputs, dims, places, pass_of, entry));
    return entry;
  }

  Pass main_pass(const std::vector<const Array*>& inputs, const std::vector<ir::Dims>& dims,
                 const std::vector<Place>& places, const std::vector<std::int64_t>& pass_of, Entry& entry) const {
    Pass pass;
    std::vector<std::size_t> last_use(program_.size(), 0);
    for (std::size_t i = 0; i < program_.size(); ++i) {
      for (const std::int64_t operand : {program_[i].a, program_[i].b}) {
        if (operand < 0) last_use[static_cast<std::size_t>(-1 - operand)] = i;
      }
    }
    std::vector<std::int64_t> buffer_of(program_.size(), -1), free;
    const auto source_of = [&](std::int64_t value, const ir::Dims& its, bool same_layout) {
      for (std::size_t s = 0; s < pass.sources.size(); ++s) {
        if (pass.sources[s].value == value) return -1 - static_cast<std::int64_t>(s);
      }
      Source source;
      if (same_layout) {
        source.like_result = true;
      } else {
        source = spread_source(its, entry.dims, places);
      }
      source.value = value;
      pass.sources.push_back(std::move(source));
      return -static_cast<std::int64_t>(pass.sources.size());
    };
    for (std::size_t i = 0; i < program_.size(); ++i) {
      if (pass_of[i] >= 0) continue;
      Instruction step = program_[i];
      for (std::int64_t* operand : {&step.a, &step.b}) {
        if (*operand >= 0) {
          const Array& x = *inputs[static_cast<std::size_t>(*operand)];
          const bool same = x.dims == entry.dims && x.layout == entry.layout;
          if (same && entry.over < 0) entry.over = *operand;
          *operand = source_of(*operand, x.dims, same);
          continue;
        }
        const auto from = static_cast<std::size_t>(-1 - *operand);
        *operand = pass_of[from] >= 0 ? source_of(-1 - pass_of[from], dims[from], false) : buffer_of[from];
      }
      // A result may lie where an operand ends: each vector is read before it is written.
      for (const std::int64_t operand : {program_[i].a, program_[i].b}) {
        if (operand >= 0) continue;
        const auto from = static_cast<std::size_t>(-1 - operand);
        if (buffer_of[from] >= 0 && last_use[from] == i &&
            std::find(free.begin(), free.end(), buffer_of[from]) == free.end())
          free.push_back(buffer_of[from]);
      }
      if (free.empty()) free.push_back(pass.buffers++);
      buffer_of[i] = free.back();
      free.pop_back();
      pass.targets.push_back(buffer_of[i]);
      pass.steps.push_back(step);
    }
    measure(pass, entry.dims);
    return pass;
  }

  static void measure(Pass& pass, const ir::Dims& dims) {
    for (const std::int64_t dim : dims) pass.count *= dim;
    // All buffers in three quarters of a first-level cache of 32 KiB.
    const auto used = pass.buffers + static_cast<std::int64_t>(pass.sources.size());
    pass.block = std::clamp<std::int64_t>(6144 / used, 16 * lanes, 128 * lanes) / lanes * lanes;
    // Some 0.1 ns for a cheap step of an element, 0.7 for a costly one.
    double cost = 0;
    for (const Instruction& step : pass.steps) cost += is_costly(step.kind) ? 0.7e-9 : 0.1e-9;
    pass.seconds = cost * static_cast<double>(pass.count);
  }

  Fallback fallback_;
  std::vector<Instruction> program_;
  ShapeCache<Entry> shapes_;
};

std::unique_ptr<Kernel> make_expression(const KernelInfo& info) { return std::make_unique<Expression>(info); }

}  // namespace

std::span<const KernelEntry> expression_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Elementwise", 1, make_expression, last_version, fused_domain},
  };
  return entries;
}

#else
std::span<const KernelEntry> expression_kernels() { return {}; }
#endif

}  // namespace hone::exec::onednn
