#pragma once

#include <filesystem>
#include <span>

#include "core/base/ini_file.h"
#include "core/cluster/gpu_profile.h"

namespace meshattn {

/// The keys of a GPU profile's file.
[[nodiscard]] std::span<const IniKey> gpu_keys();
/// The keys of a framework's file.
[[nodiscard]] std::span<const IniKey> framework_keys();

/// The profile that a file read with `gpu_keys` describes, without a framework. `path` names it and its errors.
/// @throws InvalidInput naming file, line and what would be right.
[[nodiscard]] GpuProfile gpu_of(const IniFile& file, const std::filesystem::path& path);

/// The framework that a file read with `framework_keys` describes. @throws InvalidInput
[[nodiscard]] Framework framework_of(const IniFile& file);

}  // namespace meshattn
