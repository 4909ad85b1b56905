#include "experiments/cli/options/option_group.h"

namespace meshattn {

namespace po = boost::program_options;

po::options_description option_group(const std::string& caption) {
  constexpr unsigned kColumns = 100, kDescription = 60;
  return po::options_description(caption, kColumns, kDescription);
}

po::typed_value<std::string>* text_value(const char* name) { return po::value<std::string>()->value_name(name); }

void add_output_options(po::options_description& options, po::options_description output) {
  output.add_options()                                                                                  //
      ("log-level", text_value("LEVEL"), "on standard error: debug, info, warn (default), error, off")  //
      ("help,h", "this text");
  options.add(output);
}

}  // namespace meshattn
