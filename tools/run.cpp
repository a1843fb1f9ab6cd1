// hone run: feed a model, save what comes out.
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "common.h"
#include "hone/data/npy.h"
#include "hone/exec/random_inputs.h"
#include "hone/exec/session.h"
#include "hone/report/trace.h"
#include "hone/support/error.h"
#include "hone/support/output.h"

namespace hone::tools {
namespace {

namespace fs = std::filesystem;

struct RunFlags {
  ModelIn file;
  std::vector<std::string> inputs;
  std::string input_npz, input_dir, output_npz, output_dir, profile;
  int profile_runs = 3;
  bool random = false, reference = false;
};

void collect_npy(const RunFlags& options, std::map<std::string, ir::Datum>& found) {
  for (const std::string& text : options.inputs) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) usage_error("--input {} is not NAME=FILE.npy", hone::quote(text));
    found[text.substr(0, equals)] = data::read_npy(File::open(text.substr(equals + 1)));
  }
}

void collect_npz(const RunFlags& options, const ir::Model& model, std::map<std::string, ir::Datum>& found) {
  if (options.input_npz.empty()) return;
  const data::NpzReader reader = data::NpzReader::open(options.input_npz);
  for (const ir::Value* input : model.graph->inputs()) {
    if (reader.has(input->name())) found[input->name()] = reader.read(input->name());
  }
}

// input_0.pb, input_1.pb ...: the graph's inputs in order.
void collect_test_data(const RunFlags& options, const ir::Model& model, std::map<std::string, ir::Datum>& found) {
  if (options.input_dir.empty()) return;
  if (!fs::is_directory(options.input_dir)) {
    fail(ErrorKind::io, "{} is not a folder with input_0.pb ...", hone::quote(options.input_dir));
  }
  for (std::size_t i = 0; i < model.graph->inputs().size(); ++i) {
    const std::string path = fmt::format("{}/input_{}.pb", options.input_dir, i);
    if (!fs::exists(path)) continue;
    const ir::Value* input = model.graph->inputs()[i];
    found[input->name()] = onnx::read_datum(path, input->type());
  }
}

std::string describe(const ir::Datum& datum) {
  if (const ir::Tensor* tensor = datum.tensor()) {
    return fmt::format("{}{}", ir::name(tensor->type()), ir::text(tensor->dims()));
  }
  if (const ir::Sequence* sequence = datum.sequence()) return fmt::format("sequence of {}", sequence->items.size());
  return datum.map() ? "map" : "optional";
}

void run(const RunFlags& options, const Common& common) {
  common.apply();
  const ir::Model model = options.file.read(common);
  std::map<std::string, ir::Datum> given;
  if (options.random) {
    for (ir::NamedDatum& input : exec::random_inputs(model, common.seed())) given[input.name] = std::move(input.datum);
  }
  collect_test_data(options, model, given);
  collect_npz(options, model, given);
  collect_npy(options, given);

  exec::SessionOptions session_options;
  session_options.reference = options.reference;
  session_options.seed = common.seed();
  session_options.trace = !options.profile.empty();
  exec::Session session(model, session_options);
  std::vector<ir::NamedDatum> inputs;
  for (auto& [name, datum] : given) inputs.push_back({name, std::move(datum)});
  const std::vector<ir::Datum> outputs =
      in_context([&] { return "running " + options.file.input; }, [&] { return session.run(inputs); });

  if (!options.profile.empty()) {
    // The first run plans and packs; those after it are what a server sees.
    for (int i = 1; i < options.profile_runs; ++i) session.run_shared(inputs);
    write_file(options.profile, report::chrome_trace(session));
  }

  const std::vector<std::string>& names = session.output_names();
  if (!options.output_npz.empty()) {
    const auto output = Output::to_path(options.output_npz);
    data::NpzWriter writer(*output);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const ir::Tensor* tensor = outputs[i].tensor();
      if (!tensor) {
        unsupported("output {} is no tensor: an .npz can't hold it; use --output-dir", hone::quote(names[i]));
      }
      writer.add(names[i], *tensor);
    }
    writer.finish();
    output->commit();
  }
  if (!options.output_dir.empty()) {
    std::error_code error;
    fs::create_directories(options.output_dir, error);
    if (error) fail(ErrorKind::io, "{}: {}", hone::quote(options.output_dir), error.message());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      write_file(fmt::format("{}/output_{}.pb", options.output_dir, i), onnx::write_datum(outputs[i], names[i]));
    }
  }
  Json report = Json::array();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    common.say(fmt::format("{}: {}", hone::quote(names[i]), describe(outputs[i])));
    report.push_back({{"name", names[i]}, {"type", describe(outputs[i])}});
  }
  common.write_report("run", {{"model", options.file.input}, {"outputs", std::move(report)}});
}

}  // namespace

void add_run(Command hone, Common& common) {
  auto options = std::make_shared<RunFlags>();
  Command command = hone.add_command("run", "run a model on given inputs and save its outputs");
  options->file.add_to(command);
  command.add_option("--input", options->inputs, "an input from a .npy file; repeat for more").type_name("NAME=FILE");
  command.add_option("--input-npz", options->input_npz, "inputs by name from an .npz file").type_name("FILE");
  command.add_option("--input-dir", options->input_dir, "an ONNX test data set: input_0.pb, input_1.pb ...")
      .type_name("DIR");
  command.add_option("--output-npz", options->output_npz, "write outputs by name to an .npz file (- for stdout)")
      .type_name("FILE");
  command.add_option("--output-dir", options->output_dir, "write output_0.pb ... to a folder").type_name("DIR");
  command.add_flag("--random-inputs", options->random, "draw inputs that are not given from the model's signature");
  command.add_flag("--reference", options->reference, "reference kernels only");
  command.add_option("--profile", options->profile, "write a Chrome trace: time, bytes and operations of each node")
      .type_name("FILE");
  command.add_option("--profile-runs", options->profile_runs, "runs in the trace; the first one plans")
      .positive()
      .show_default();
  common.add_to(command);
  command.footer("Example: hone run model.onnx --input-npz inputs.npz --output-npz outputs.npz");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
