// hone bench: how fast a model runs, alone or in turns with another one.
#include "hone/release/bench.h"

#include <fmt/core.h>

#include <cstdio>

#include "common.h"
#include "hone/data/npy.h"
#include "hone/exec/random_inputs.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"
#include "hone/support/version.h"

namespace hone::tools {
namespace {

// More sets of shapes than this are a mistake in a range.
constexpr std::size_t most_sets = 10'000;

struct BenchFlags {
  ModelIn file;
  std::string against, ort_library, input_npz;
  std::vector<std::string> dims, shapes;
  bool against_ort = false, json = false;
  release::BenchOptions bench;
};

std::int64_t parse_size_of(std::string_view text, const std::string& option) {
  const ir::Dimension dim = ir::Dimension::parse(trim(text));
  if (!dim.number() || *dim.number() < 0)
    usage_error("--dim {}: {} is no size", hone::quote(option), hone::quote(text));
  return *dim.number();
}

// "width=320", "width=100,200" or "width=100:400:20".
std::pair<std::string, std::vector<std::int64_t>> parse_dim(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    usage_error("--dim {} is not NAME=N, NAME=N,N,... or NAME=FIRST:LAST:STEP", hone::quote(text));
  }
  std::vector<std::int64_t> sizes;
  for (const std::string_view item : split(std::string_view(text).substr(equals + 1), ',')) {
    const auto parts = split(item, ':');
    if (parts.size() == 1) {
      sizes.push_back(parse_size_of(item, text));
      continue;
    }
    const std::int64_t first = parse_size_of(parts[0], text), last = parse_size_of(parts[1], text);
    const std::int64_t step = parts.size() > 2 ? parse_size_of(parts[2], text) : 1;
    if (parts.size() > 3 || step < 1 || last < first)
      usage_error("--dim {}: {} is no range FIRST:LAST:STEP", hone::quote(text), hone::quote(item));
    if (static_cast<std::size_t>((last - first) / step) >= most_sets)
      usage_error("--dim {}: more than {} sizes", hone::quote(text), most_sets);
    for (std::int64_t size = first; size <= last; size += step) sizes.push_back(size);
  }
  return {text.substr(0, equals), std::move(sizes)};
}

release::InputSets input_sets(const BenchFlags& options, const ir::Model& model, std::uint64_t seed) {
  exec::RandomInputs random;
  random.seed = seed;
  random.variation = 5;  // symbols are 1 where nothing else is said, as when one sample is served
  for (const std::string& text : options.shapes) random.shapes.insert(parse_shape(text));
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> dims;
  std::size_t count = 1;
  for (const std::string& text : options.dims)
    count = std::max(count, dims.emplace_back(parse_dim(text)).second.size());
  if (!options.input_npz.empty()) {
    if (!options.dims.empty() || !options.shapes.empty())
      usage_error("--dim and --input-shape are for inputs that are drawn, not for --input-npz");
    const data::NpzReader reader = data::NpzReader::open(options.input_npz);
    release::InputSets sets(1);
    for (const ir::Value* input : model.graph->inputs()) {
      if (reader.has(input->name())) sets[0].push_back({input->name(), reader.read(input->name()).loaded()});
    }
    return sets;
  }
  release::InputSets sets;
  for (std::size_t i = 0; i < count; ++i) {
    for (const auto& [name, sizes] : dims) random.sizes[name] = sizes[i % sizes.size()];
    sets.push_back(exec::random_inputs(model, random));
  }
  return sets;
}

Json describe(const metrics::Interval& interval, double factor) {
  return {{"low", interval.low * factor}, {"high", interval.high * factor}, {"confidence", interval.confidence}};
}

Json describe(const std::string& name, const std::string& runtime, const release::BenchSide& side) {
  constexpr double ms = 1e3;
  const metrics::Latency& latency = side.latency;
  Json result{{"model", name},
              {"runtime", runtime},
              {"runs", latency.runs},
              {"median_ms", latency.p50 * ms},
              {"min_ms", latency.min * ms},
              {"mean_ms", latency.mean * ms},
              {"p90_ms", latency.p90 * ms},
              {"p99_ms", latency.p99 * ms},
              {"unstable", latency.unstable()},
              {"created_ms", side.created * ms}};
  if (side.interval) result["median_interval_ms"] = describe(*side.interval, ms);
  if (side.memory > 0) result["memory"] = side.memory;
  return result;
}

void print(const Json& side) {
  fmt::print("{}  [{}]\n", printable(side["model"].get<std::string>()), side["runtime"].get<std::string>());
  fmt::print("  median {:.4g} ms", side["median_ms"].get<double>());
  if (side.contains("median_interval_ms")) {
    const Json& interval = side["median_interval_ms"];
    fmt::print(" ({:.4g} to {:.4g})", interval["low"].get<double>(), interval["high"].get<double>());
  }
  fmt::print(", min {:.4g}, p90 {:.4g}, p99 {:.4g} of {} runs; planned in {:.3g} ms", side["min_ms"].get<double>(),
             side["p90_ms"].get<double>(), side["p99_ms"].get<double>(), side["runs"].dump(),
             side["created_ms"].get<double>());
  if (side.contains("memory")) fmt::print(", {} of values at once", human_bytes(side["memory"].get<std::uint64_t>()));
  fmt::print("\n");
}

void run(BenchFlags& options, const Common& common) {
  common.apply();
  if (options.against_ort && options.file.input == "-")
    usage_error("--against-ort needs a model file: ONNX Runtime reads it itself");
  options.bench.seed = common.seed();
  const ir::Model model = options.file.read(common);
  const release::InputSets inputs = input_sets(options, model, common.seed());
  const std::string runtime = fmt::format("hone {}", version());
  Json body;
  const release::Bench result =
      in_context([&] { return "running " + options.file.input; },
                 [&] {
                   if (options.against_ort) {
                     std::string release;
                     release::Bench both = release::bench_against_onnxruntime(
                         model, options.file.input, options.ort_library, inputs, options.bench, release);
                     body = describe(options.file.input, runtime, both.model);
                     body["against"] = describe(options.file.input, "ONNX Runtime " + release, *both.against);
                     return both;
                   }
                   if (!options.against.empty()) {
                     onnx::ReadOptions read;
                     read.observer = &common.observer();
                     const ir::Model other = onnx::read(options.against, read);
                     release::Bench both = release::bench(model, other, inputs, options.bench);
                     body = describe(options.file.input, runtime, both.model);
                     body["against"] = describe(options.against, runtime, *both.against);
                     return both;
                   }
                   release::Bench alone = release::bench(model, inputs, options.bench);
                   body = describe(options.file.input, runtime, alone.model);
                   return alone;
                 });
  body["threads"] = threads();
  body["input_sets"] = inputs.size();
  if (result.ratio) {
    body["ratio"] = result.ratio->ratio;
    if (result.ratio->interval) body["ratio_interval"] = describe(*result.ratio->interval, 1);
  }
  if (options.json) {
    fmt::print("{}\n", body.dump(2, ' ', false, Json::error_handler_t::replace));
  } else if (!common.quiet()) {
    print(body);
    if (result.ratio) {
      print(body["against"]);
      fmt::print("ratio {:.3f}", result.ratio->ratio);
      if (result.ratio->interval)
        fmt::print(" ({:.3f} to {:.3f})", result.ratio->interval->low, result.ratio->interval->high);
      fmt::print(": the time of the second over that of the first\n");
    }
  }
  if (result.model.latency.unstable() || (result.against && result.against->latency.unstable())) {
    common.say("times vary by more than 5 %: trust the ratio rather than the times");
  }
  common.write_report("bench", std::move(body));
}

}  // namespace

void add_bench(Command hone, Common& common) {
  auto options = std::make_shared<BenchFlags>();
  Command command =
      hone.add_command("bench", "time a model, alone or in turns with another model or with ONNX Runtime");
  options->file.add_to(command);
  Option against =
      command.add_option("--against", options->against, "a model to run in turns with it").type_name("MODEL2");
  command.add_flag("--against-ort", options->against_ort, "run in turns with ONNX Runtime").excludes(against);
  command
      .add_option("--ort-library", options->ort_library,
                  "libonnxruntime.so to open; without it, what HONE_ORT_LIBRARY names, then what the loader finds")
      .type_name("FILE");
  command.add_option("--input-npz", options->input_npz, "inputs by name from an .npz file; without it, they are drawn")
      .type_name("FILE");
  command
      .add_option("--dim", options->dims,
                  "size of a symbolic dimension (1 where not given): N, a list N,N,... or FIRST:LAST:STEP, which "
                  "change with every run")
      .type_name("NAME=SIZES");
  command.add_option("--input-shape", options->shapes, "shape of an input: numbers or names for --dim")
      .type_name("NAME=D1,D2,...");
  command.add_option("--warm-up", options->bench.turns.warm_up, "runs that don't count").positive().show_default();
  command.add_option("--runs", options->bench.turns.runs, "timed runs; 0: as many as --seconds hold, at least 10")
      .not_negative()
      .show_default();
  command.add_option("--seconds", options->bench.turns.seconds, "time for each of the models")
      .positive()
      .show_default();
  command.add_option("--confidence", options->bench.confidence, "of the intervals").between(0.5, 0.999).show_default();
  command.add_flag("--json", options->json, "as JSON, on stdout");
  common.add_to(command);
  command.footer("Example: hone bench small.onnx --against trained.onnx --threads 2");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
