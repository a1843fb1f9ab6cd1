// reduce_model MODEL OUTPUT COMMAND [ARGUMENT...]: makes MODEL small while COMMAND, given a model file as its last
// argument, ends with the exit code it ends with for MODEL (which must not be 0). For example
//   reduce_model big.onnx small.onnx build/release/bin/hone convert --verify always -o /dev/null
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/rewrite/reduce.h"
#include "hone/support/error.h"

namespace {

// The wait status of the command; its output is thrown away.
int run(std::vector<char*> command, const std::string& file) {
  command.push_back(const_cast<char*>(file.c_str()));
  command.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) && std::freopen("/dev/null", "w", stderr))
      execvp(command[0], command.data());
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::fprintf(stderr, "usage: reduce_model MODEL OUTPUT COMMAND [ARGUMENT...]\n"), 2;
  const std::vector<char*> command(argv + 3, argv + argc);
  char folder[] = "/tmp/reduce_model_XXXXXX";
  if (!mkdtemp(folder)) return std::perror("reduce_model"), 6;
  const std::string file = std::string(folder) + "/model.onnx";
  int code = 0;
  try {
    const hone::ir::Model model = hone::onnx::read(argv[1]);
    hone::onnx::write(model, file);
    const int wanted = run(command, file);
    if (wanted == 0 || WEXITSTATUS(wanted) == 127) {
      std::fprintf(stderr, "reduce_model: the command does not fail for %s\n", argv[1]);
      code = 2;
    } else {
      const auto result = hone::rewrite::reduce(model, [&](const hone::ir::Model& trial) {
        try {
          hone::onnx::write(trial, file);
        } catch (const hone::Error&) {
          return false;
        }
        return run(command, file) == wanted;
      });
      hone::onnx::write(result.model, argv[2]);
      std::fprintf(stderr, "%zu nodes became %zu in %llu trials\n", hone::ir::total_node_count(*model.graph),
                   hone::ir::total_node_count(*result.model.graph), static_cast<unsigned long long>(result.trials));
    }
  } catch (const hone::Error& error) {
    std::fprintf(stderr, "reduce_model: %s\n", error.what());
    code = hone::exit_code(error.kind());
  }
  std::filesystem::remove_all(folder);
  return code;
}
