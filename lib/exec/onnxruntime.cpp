#include "hone/exec/onnxruntime.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "hone/support/error.h"

namespace hone::exec {
namespace {

// Objects of the library are opaque; a status is null for success.
using Object = void*;
using Status = void*;

// The table's entries that are used, by place. Places never change; that is the library's promise to programs built
// against older headers.
enum Place : std::size_t {
  get_error_message = 2,
  create_env = 3,
  create_session = 7,
  run_session = 9,
  create_session_options = 10,
  set_log_severity = 22,
  set_optimization = 23,
  set_intra_threads = 24,
  set_inter_threads = 25,
  input_count = 30,
  output_count = 31,
  input_name = 36,
  output_name = 37,
  create_tensor_with_data = 49,
  is_tensor = 50,
  tensor_data = 51,
  element_type = 60,
  dimension_count = 61,
  dimensions = 62,
  type_and_shape = 65,
  create_cpu_memory_info = 69,
  allocator_free = 76,
  default_allocator = 78,
  release_env = 92,
  release_status = 93,
  release_memory_info = 94,
  release_session = 95,
  release_value = 96,
  release_type_and_shape = 99,
  release_session_options = 100,
};

struct ApiBase {
  const void* const* (*get_api)(std::uint32_t version);
  const char* (*version)();
};

constexpr std::uint32_t api_version = 1;
constexpr int severity_error = 3, all_optimizations = 99, arena_allocator = 1, default_memory = 0;

struct Api {
  const void* const* table = nullptr;

  // Calls an entry; what it returns is Result.
  template <typename Result, typename... Args>
  Result call(Place place, Args... args) const {
    Result (*function)(Args...) = nullptr;
    const void* entry = table[place];
    std::memcpy(&function, &entry, sizeof function);
    return function(args...);
  }
  // An entry that returns a status; raises unsupported with the library's own words.
  template <typename... Args>
  void check(const char* what, Place place, Args... args) const {
    const auto status = call<Status>(place, args...);
    if (!status) return;
    const std::string message = call<const char*>(get_error_message, static_cast<const void*>(status));
    call<void>(release_status, status);
    unsupported("ONNX Runtime: {}: {}", what, printable(message));
  }
  void release(Place place, Object object) const {
    if (object) call<void>(place, object);
  }
};

Api open_library(const std::string& path, std::string& version) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays open: its threads can't be unloaded
  if (!library) {
    const char* reason = dlerror();
    fail(ErrorKind::io, "opening ONNX Runtime: {}; name libonnxruntime.so with --ort-library or HONE_ORT_LIBRARY",
         reason ? reason : "unknown reason");
  }
  const ApiBase* (*base)() = nullptr;
  void* symbol = dlsym(library, "OrtGetApiBase");
  std::memcpy(&base, &symbol, sizeof base);
  const ApiBase* found = base ? base() : nullptr;
  if (!found) unsupported("{} is not ONNX Runtime: it has no OrtGetApiBase", quote(path));
  version = found->version();
  const Api api{found->get_api(api_version)};
  if (!api.table) unsupported("ONNX Runtime {} does not give version {} of its interface", version, api_version);
  return api;
}

}  // namespace

std::string onnxruntime_library(const std::string& library) {
  if (!library.empty()) return library;
  const char* named = std::getenv("HONE_ORT_LIBRARY");
  return named && *named ? named : "libonnxruntime.so";
}

struct OnnxRuntime::State {
  Api api;
  std::string version;
  Object env = nullptr, session = nullptr, memory = nullptr;
  std::vector<std::string> inputs, outputs;
  std::vector<const char*> output_pointers;

  ~State() {
    if (!api.table) return;
    api.release(release_session, session);
    api.release(release_memory_info, memory);
    api.release(release_env, env);
  }

  std::vector<std::string> names(Place count_place, Place name_place) const {
    Object allocator = nullptr;
    api.check("the allocator", default_allocator, &allocator);
    std::size_t count = 0;
    api.check("counting inputs or outputs", count_place, static_cast<const void*>(session), &count);
    std::vector<std::string> result;
    for (std::size_t i = 0; i < count; ++i) {
      char* name = nullptr;
      api.check("a name", name_place, static_cast<const void*>(session), i, allocator, &name);
      result.emplace_back(name);
      api.check("freeing a name", allocator_free, allocator, static_cast<void*>(name));
    }
    return result;
  }
};

class OnnxRuntime::Inputs {
 public:
  explicit Inputs(const Api& api) : api_(api) {}
  ~Inputs() {
    for (const void* value : values_) api_.release(release_value, const_cast<void*>(value));
  }
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;

 private:
  friend class OnnxRuntime;
  const Api& api_;
  std::vector<ir::Tensor> tensors_;  // keep the memory
  std::vector<const char*> names_;
  std::vector<const void*> values_;
};

OnnxRuntime::OnnxRuntime(const std::string& library, const std::string& model, int threads)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.api = open_library(onnxruntime_library(library), state.version);
  const Api& api = state.api;
  api.check("starting", create_env, severity_error, "hone", &state.env);
  struct Options {
    const Api& api;
    Object object = nullptr;
    ~Options() { api.release(release_session_options, object); }
  } options{api};
  api.check("session options", create_session_options, &options.object);
  api.check("the log level", set_log_severity, options.object, severity_error);
  api.check("optimizations", set_optimization, options.object, all_optimizations);
  api.check("threads", set_intra_threads, options.object, threads);
  api.check("threads", set_inter_threads, options.object, 1);
  api.check("making a session", create_session, static_cast<const void*>(state.env), model.c_str(),
            static_cast<const void*>(options.object), &state.session);
  api.check("memory", create_cpu_memory_info, arena_allocator, default_memory, &state.memory);
  state.inputs = state.names(input_count, input_name);
  state.outputs = state.names(output_count, output_name);
  for (const std::string& name : state.outputs) state.output_pointers.push_back(name.c_str());
}

OnnxRuntime::~OnnxRuntime() = default;

const std::string& OnnxRuntime::version() const { return state_->version; }
const std::vector<std::string>& OnnxRuntime::input_names() const { return state_->inputs; }
const std::vector<std::string>& OnnxRuntime::output_names() const { return state_->outputs; }

std::shared_ptr<const OnnxRuntime::Inputs> OnnxRuntime::prepare(const std::vector<ir::NamedDatum>& inputs) const {
  const Api& api = state_->api;
  auto result = std::make_shared<Inputs>(api);
  for (const std::string& name : state_->inputs) {
    for (const ir::NamedDatum& each : inputs) {
      if (each.name != name) continue;
      const ir::Tensor* given = each.datum.tensor();
      if (!given || given->is_string())
        unsupported("input {}: only tensors of numbers can be given to ONNX Runtime", quote(name));
      const ir::Tensor& tensor = result->tensors_.emplace_back(given->loaded());
      void* value = nullptr;
      api.check("an input", create_tensor_with_data, static_cast<const void*>(state_->memory),
                const_cast<void*>(static_cast<const void*>(tensor.bytes().data())),
                static_cast<std::size_t>(tensor.byte_size()), tensor.dims().data(), tensor.dims().size(),
                static_cast<int>(tensor.type()), &value);
      result->names_.push_back(name.c_str());
      result->values_.push_back(value);
    }
  }
  return result;
}

namespace {

// What a run made, released at the end.
struct Made {
  const Api& api;
  std::vector<void*> values;
  ~Made() {
    for (void* value : values) api.release(release_value, value);
  }
};

ir::Datum copied(const Api& api, void* value) {
  int tensor = 0;
  api.check("an output", is_tensor, static_cast<const void*>(value), &tensor);
  if (tensor == 0) return {};
  struct Info {
    const Api& api;
    void* object = nullptr;
    ~Info() { api.release(release_type_and_shape, object); }
  } info{api};
  api.check("the type of an output", type_and_shape, static_cast<const void*>(value), &info.object);
  int type = 0;
  std::size_t rank = 0;
  api.check("the type of an output", element_type, static_cast<const void*>(info.object), &type);
  api.check("the shape of an output", dimension_count, static_cast<const void*>(info.object), &rank);
  ir::Dims dims(rank);
  api.check("the shape of an output", dimensions, static_cast<const void*>(info.object), dims.data(), rank);
  const auto element = static_cast<ir::ElementType>(type);
  if (!ir::is_known(element) || element == ir::ElementType::string) return {};
  void* data = nullptr;
  api.check("the data of an output", tensor_data, value, &data);
  ir::Tensor result = ir::Tensor::allocate(element, dims);
  if (result.byte_size() > 0) std::memcpy(result.mutable_bytes().data(), data, result.byte_size());
  return result;
}

}  // namespace

void OnnxRuntime::run(const Inputs& inputs) const {
  Made made{state_->api, std::vector<void*>(state_->outputs.size())};
  state_->api.check("running the model", run_session, state_->session, static_cast<const void*>(nullptr),
                    inputs.names_.data(), inputs.values_.data(), inputs.values_.size(), state_->output_pointers.data(),
                    state_->outputs.size(), made.values.data());
}

std::vector<ir::Datum> OnnxRuntime::outputs(const Inputs& inputs) const {
  Made made{state_->api, std::vector<void*>(state_->outputs.size())};
  state_->api.check("running the model", run_session, state_->session, static_cast<const void*>(nullptr),
                    inputs.names_.data(), inputs.values_.data(), inputs.values_.size(), state_->output_pointers.data(),
                    state_->outputs.size(), made.values.data());
  std::vector<ir::Datum> result;
  for (void* value : made.values) result.push_back(value ? copied(state_->api, value) : ir::Datum{});
  return result;
}

}  // namespace hone::exec
