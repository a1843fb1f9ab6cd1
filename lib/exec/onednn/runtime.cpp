#include "exec/onednn/runtime.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>

#include "exec/fuse.h"
#include "exec/onednn/eights.h"
#include "exec/program.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace hone::exec::onednn {
namespace {

std::atomic<std::uint64_t> reorders{0};
thread_local bool in_serial = false;  // a serial Workers lives

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

std::shared_ptr<const BlockedLayout> blocked_layout(const Desc& desc) {
  static std::mutex mutex;
  static std::vector<std::weak_ptr<const BlockedLayout>> known;
  const std::lock_guard lock(mutex);
  std::erase_if(known, [](const auto& each) { return each.expired(); });
  for (const auto& each : known) {
    if (auto layout = each.lock(); layout && layout->desc() == desc) return layout;
  }
  auto layout = std::make_shared<const BlockedLayout>(desc);
  known.push_back(layout);
  return layout;
}

Desc row_major(std::span<const std::int64_t> dims, dnnl::memory::data_type type) {
  dnnl::memory::dims sizes(dims.begin(), dims.end()), strides(dims.size());
  std::int64_t stride = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= std::max<std::int64_t>(dims[i], 1);
  }
  if (sizes.empty()) {
    sizes = {1};
    strides = {1};
  }
  return Desc(sizes, type, strides);
}

Desc any_layout(std::span<const std::int64_t> dims, dnnl::memory::data_type type) {
  return Desc(dnnl::memory::dims(dims.begin(), dims.end()), type, dnnl::memory::format_tag::any);
}

Desc desc_of(const Array& array) {
  if (array.layout) return static_cast<const BlockedLayout&>(*array.layout).desc();
  return row_major(array.dims, data_type(array.type).value_or(dnnl::memory::data_type::f32));
}

bool is_row_major(const Desc& desc) {
  const dnnl::memory::dims dims = desc.get_dims();
  return desc == row_major(dims, desc.get_data_type());
}

std::optional<dnnl::memory::data_type> data_type(ir::ElementType type) {
  using D = dnnl::memory::data_type;
  switch (type) {
    case ir::ElementType::float32:
      return D::f32;
    case ir::ElementType::bfloat16:
      return D::bf16;
    case ir::ElementType::float16:
      return D::f16;
    case ir::ElementType::int32:
      return D::s32;
    case ir::ElementType::int8:
      return D::s8;
    case ir::ElementType::uint8:
      return D::u8;
    default:
      return std::nullopt;
  }
}

void BlockedLayout::unpack(const std::byte* from, std::byte* to) const {
  if (const auto shape = as_eights(desc_)) {
    reorders.fetch_add(1, std::memory_order_relaxed);
    unpack_eights(*shape, reinterpret_cast<const float*>(from), reinterpret_cast<float*>(to));
    return;
  }
  guarded([&] { reorder(desc_, from, row_major(desc_.get_dims(), desc_.get_data_type()), to); });
}

// 8 million operations, or 2 megabytes, are twice those 50 microseconds.
Workers Workers::for_operations(double count) { return Workers(count < 8e6); }
Workers Workers::for_asking(double count) { return Workers(seconds_of(count) < least_worthwhile); }
Workers Workers::for_bytes(double count) { return Workers(count < 2e6); }

Workers::Workers(bool serial) : serial_(serial && !in_serial && threads() > 1) {
  if (!serial_) return;
  in_serial = true;
#ifdef _OPENMP
  omp_set_num_threads(1);
#endif
}

Workers::~Workers() {
  if (!serial_) return;
  in_serial = false;
  threads();  // tells OpenMP
}

Call::Call(const dnnl::primitive& primitive) : primitive_(primitive), serial_(in_serial) {}

void Call::bind(int argument, const Desc& desc, const void* data) {
  void* handle = const_cast<void*>(data);
  for (Argument& each : arguments_) {
    if (each.number != argument) continue;
    each.memory.set_data_handle(handle);
    return;
  }
  arguments_.push_back({argument, dnnl::memory(desc, engine(), handle)});
  raw_.push_back({argument, arguments_.back().memory.get()});
}

void Call::allow_serial(double seconds, std::function<dnnl::primitive()> make) {
  if (serial_ || threads() == 1) return;
  seconds_ = seconds;
  make_serial_ = std::move(make);
}

void Call::run() {
  const bool alone = (make_serial_ || for_one_) && worthwhile_threads(seconds_) == 1;
  const Workers workers(serial_ || alone);
  if (alone && make_serial_) {
    for_one_ = guarded(make_serial_);
    make_serial_ = nullptr;
  }
  const dnnl::primitive& primitive = alone && for_one_ ? for_one_ : primitive_;
  const auto start = std::chrono::steady_clock::now();
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive.get(), stream().get(), static_cast<int>(raw_.size()), raw_.data());
  if (status != dnnl_success)
    fail(ErrorKind::internal, "oneDNN: a primitive failed with status {}", static_cast<int>(status));
  if (seconds_ == 0 || serial_ || alone) return;
  const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fastest_ = std::min(fastest_, taken);
  record_lateness(std::max(0.0, taken - 2 * fastest_));
}

Reorder::Reorder(const Desc& from, const Desc& to, bool plans_nothing) : from_(from), to_(to) {
  if (plans_nothing && from.get_dims() == to.get_dims()) {
    const auto packed = as_eights(to), unpacked = as_eights(from);
    if (packed && is_row_major(from)) own_ = [shape = *packed](const float* a, float* b) { pack_eights(shape, a, b); };
    if (unpacked && is_row_major(to))
      own_ = [shape = *unpacked](const float* a, float* b) { unpack_eights(shape, a, b); };
    if (own_) return;
  }
  const Workers workers = Workers::for_bytes(static_cast<double>(from.get_size() + to.get_size()));
  call_ = Call(dnnl::reorder(dnnl::reorder::primitive_desc(engine(), from, engine(), to)));
}

void Reorder::run(const void* from, void* to) {
  reorders.fetch_add(1, std::memory_order_relaxed);
  if (own_) return own_(static_cast<const float*>(from), static_cast<float*>(to));
  call_.bind(DNNL_ARG_FROM, from_, from);
  call_.bind(DNNL_ARG_TO, to_, to);
  call_.run();
}

void reorder(const Desc& from, const void* source, const Desc& to, void* target) {
  Reorder(from, to, true).run(source, target);
}

std::uint64_t reorder_count() { return reorders; }

Adapter::Adapter(const Desc& from, const Desc& to, bool plans_nothing) {
  if (from == to) return;
  reorder_ = Reorder(from, to, plans_nothing);
  size_ = to.get_size();
}

const void* Adapter::get(Context& context, const void* data) {
  if (!reorder_) return data;
  std::byte* copy = context.scratch(size_);
  reorder_.run(data, copy);
  return copy;
}

bool sizes_may_change(const ir::Model& model) {
  for (const ir::Value* input : model.graph->inputs()) {
    if (input->initializer() || !input->type().is_tensor()) continue;
    const auto& shape = input->shape();
    if (!shape) return true;
    for (std::size_t i = 1; i < shape->size(); ++i) {
      if (!(*shape)[i].number()) return true;
    }
  }
  return false;
}

void Fallback::run(Context& context) {
  if (info_.node.domain() == fused_domain) {
    auto& step = dynamic_cast<StepContext&>(context);
    Body& body = step.body("fallback");
    step.run(body);
    step.put(0, step.take(body, 0));
    step.finish(body);
    return;
  }
  if (!kernel_) kernel_ = make_kernel(info_, true);
  if (!kernel_) unsupported("no kernel for it");
  kernel_->run(context);
}

std::string kernel_name(const dnnl::primitive_desc_base& desc) { return std::string("onednn:") + desc.impl_info_str(); }

}  // namespace hone::exec::onednn
