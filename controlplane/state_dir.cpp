#include "controlplane/state_dir.hpp"

#include <fmt/format.h>

#include "base/file.hpp"
#include "base/log.hpp"

namespace balancer::controlplane {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTokenBytes = 32;

Error directory_error(const fs::path& path, std::error_code code) {
    return Error{
        ErrorCode(code.value(), boost::system::system_category()),
        fmt::format(
            "cannot use the state directory {}: {}; give one that this user may write with "
            "--state-dir",
            path.string(),
            code.message()
        ),
    };
}

Result<std::string> load_or_make_token(const fs::path& path) {
    std::error_code code;
    if (!fs::exists(path, code)) {
        Result<void> made = write_file_atomically(path, random_hex(kTokenBytes) + "\n", 0600);
        if (!made) return made.error();
    }
    return read_secret_file(path);
}

}  // namespace

Result<void> prepare_state_dir(const fs::path& state_dir) {
    std::error_code code;
    fs::create_directories(state_dir, code);
    if (code) return directory_error(state_dir, code);
    fs::perms mode = fs::status(state_dir, code).permissions();
    if (code) return directory_error(state_dir, code);
    if ((mode & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none) return {};
    // A folder that holds something else (/tmp, a home) is not ours to lock others out of.
    bool ours = fs::exists(state_dir / kAdminTokenFile, code) || fs::is_empty(state_dir, code);
    if (!ours) {
        return invalid(fmt::format(
            "the state directory {} is open to other users and holds other files: run chmod 700 "
            "{}, or "
            "give another one with --state-dir",
            state_dir.string(),
            state_dir.string()
        ));
    }
    fs::permissions(state_dir, fs::perms::owner_all, code);
    if (code) return directory_error(state_dir, code);
    return {};
}

Result<Tokens> load_or_make_tokens(const fs::path& state_dir) {
    Result<std::string> admin = load_or_make_token(state_dir / kAdminTokenFile);
    if (!admin) return admin.error();
    Result<std::string> data_plane = load_or_make_token(state_dir / kDataPlaneTokenFile);
    if (!data_plane) return data_plane.error();
    return Tokens{*std::move(admin), *std::move(data_plane)};
}

Result<void> write_addresses(const fs::path& state_dir, const Addresses& addresses) {
    std::string json = R"({"grpc":)";
    append_json_string(json, addresses.grpc);
    json += R"(,"http":)";
    append_json_string(json, addresses.http);
    json += "}\n";
    return write_file_atomically(state_dir / kAddressesFile, json, 0600);
}

void remove_addresses(const fs::path& state_dir) {
    std::error_code ignored;
    fs::remove(state_dir / kAddressesFile, ignored);
}

}  // namespace balancer::controlplane
