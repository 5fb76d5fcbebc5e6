/// \file
/// From argv and environment to an exit code: settings, observers, one command, report.
#pragma once

namespace lockkeeper::app {

/// Never throws. The error of a run is shown once, here.
int run(int argc, const char* const* argv, const char* const* envp);

}  // namespace lockkeeper::app
