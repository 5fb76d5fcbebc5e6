/// \file
/// One function a command. Each returns how it went; what ends it early is an Error.
#pragma once

#include "app/context.hpp"
#include "util/error.hpp"

namespace lockkeeper::app {

util::Outcome up(Context& context);
util::Outcome plan(Context& context);
util::Outcome status(Context& context);
util::Outcome verify(Context& context);
util::Outcome check(Context& context);
util::Outcome wait(Context& context);
util::Outcome down(Context& context);
util::Outcome baseline(Context& context);
util::Outcome repair(Context& context);
util::Outcome grants(Context& context);
util::Outcome doctor(Context& context);
util::Outcome new_migration(Context& context);
util::Outcome explain(Context& context);

/// The plan as `plan` shows it and as `up` shows it before it asks.
std::string render_plan(const core::Plan& plan, bool colour);

}  // namespace lockkeeper::app
