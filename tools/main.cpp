// hone: the command line of the library; one file beside this one for each command.
#include <CLI/CLI.hpp>
#include <string>

#include "hone/support/version.h"

int main(int argc, char** argv) {
  CLI::App app{"convert, prune, quantize, fine-tune and validate ONNX models"};
  app.set_version_flag("--version", "hone " + std::string(hone::version()));
  CLI11_PARSE(app, argc, argv);
  return 0;
}
