#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "cli/command/change.hpp"
#include "cli/command/commands.hpp"
#include "cli/document.hpp"
#include "cli/table.hpp"
#include "cli/words.hpp"

namespace balancer::cli {
namespace {

// Far above any real configuration, below the largest message.
constexpr std::size_t kFileBytesMax = 3 << 20;

Result<v1::ValidateConfigRequest> make_request(const std::string& file) {
    v1::ValidateConfigRequest request;
    if (file.empty()) return request;
    Result<std::string> text = read_file(file, kFileBytesMax);
    if (!text) return text.error();
    if (text->empty()) return invalid(fmt::format("{} is empty", file));
    // Absolute: `file:` secrets are looked for beside it, by the control plane, which runs in
    // another folder.
    std::error_code code;
    std::filesystem::path absolute = std::filesystem::absolute(file, code);
    request.set_file_name(code ? file : absolute.lexically_normal().string());
    request.set_yaml(*std::move(text));
    return request;
}

}  // namespace

int validate_config(Session& session, const std::string& file) {
    Result<v1::ValidateConfigRequest> request = make_request(file);
    if (!request) return report(session, request.error());
    auto answer = session.client.call(&v1::Admin::Stub::ValidateConfig, *request);
    if (!answer) return report(session, answer.error());
    int code = answer->ok() ? kDone : kFailed;
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return code;
    }
    for (const v1::ConfigProblem& problem : answer->problems()) {
        session.err << printable(problem_words(problem, file)) << '\n';
    }
    for (const std::string& notice : answer->notices()) {
        session.out << paint("note: ", Tone::kWarn, session.color) << printable(notice) << '\n';
    }
    std::string what = file.empty() ? "the control plane's file" : file;
    if (answer->ok()) {
        session.out << what << " is good\n";
    } else {
        session.err << fmt::format(
            "{} has {} problem{}\n",
            what,
            answer->problems_size(),
            answer->problems_size() == 1 ? "" : "s"
        );
    }
    return code;
}

int reload_config(Session& session, const ChangeFlags& flags) {
    v1::ReloadConfigRequest request;
    *request.mutable_context() = change_context(flags);
    return report_change(
        session, session.client.call(&v1::Admin::Stub::ReloadConfig, request), flags
    );
}

int show_config(Session& session, std::uint64_t revision) {
    v1::ShowConfigRequest request;
    request.set_revision(revision);
    auto answer = session.client.call(&v1::Admin::Stub::ShowConfig, request);
    if (!answer) return report(session, answer.error());
    if (session.format == Format::kTable && revision != 0) {
        session.out << fmt::format(
            "# revision {}, {}, {}: {}; secrets masked\n{}",
            answer->revision().number(),
            ago(answer->revision().at_ms(), session.now),
            source_words(answer->revision().source()),
            printable(answer->revision().summary()),
            answer->yaml()
        );
    } else if (session.format == Format::kTable) {
        // A configuration is a tree: a table would hide what it says.
        session.out << fmt::format(
            "# version {}, from {}; secrets masked\n", version_words(answer->head()), answer->file()
        );
        print_document(answer->config(), Format::kYaml, session.out);
    } else {
        print_document(*answer, session.format, session.out);
    }
    return kDone;
}

}  // namespace balancer::cli
