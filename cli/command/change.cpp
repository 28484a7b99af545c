#include "cli/command/change.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>

#include "cli/document.hpp"
#include "cli/words.hpp"

namespace balancer::cli {

v1::ChangeContext change_context(const std::string& reason) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    const passwd* user = ::getpwuid(::geteuid());
    v1::ChangeContext context;
    context.set_actor(fmt::format(
        "{}@{}", user != nullptr ? user->pw_name : std::to_string(::geteuid()), host.data()
    ));
    context.set_reason(reason);
    return context;
}

int report_change(Session& session, const Result<v1::ChangeResponse>& answer) {
    if (!answer) return report(session, answer.error());
    if (session.format != Format::kTable) {
        print_document(*answer, session.format, session.out);
        return kDone;
    }
    session.out << fmt::format(
        "{} (version {})\n", printable(answer->message()), version_words(answer->version())
    );
    for (const std::string& warning : answer->warnings()) {
        session.out << paint("note: ", Tone::kWarn, session.color) << printable(warning) << '\n';
    }
    return kDone;
}

}  // namespace balancer::cli
