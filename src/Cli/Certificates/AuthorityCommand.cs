using System.CommandLine;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Certificates;

/// <summary>`ca`: certificates for the traffic within a cluster, for machines where nothing else issues them.</summary>
static class AuthorityCommand
{
    const int LongestName = 64;

    public static Command Create() =>
        new("ca", "Make the certificates that --tls-cert, --tls-key and --tls-ca take, where nothing else issues them.") { Init(), Issue() };

    static Command Init()
    {
        var (folder, days) = (Folder(), Days(3650));
        var name = new Option<string>("--name") { HelpName = "NAME", Description = "of the authority", DefaultValueFactory = _ => "llamacluster authority" };
        var command = new Command("init", "Make an authority. Its key, ca.key, is kept where certificates are issued and nowhere else.") { folder, name, days };
        command.SetAction(parsed =>
        {
            var authority = new CertificateAuthority(parsed.GetRequiredValue(folder), TimeProvider.System);
            authority.Create(Checked(name, parsed.GetRequiredValue(name), path: false), DaysOf(parsed, days));
            parsed.InvocationConfiguration.Output.WriteLine(authority.CertificateFile);
            return ExitCode.Done;
        });
        return command;
    }

    static Command Issue()
    {
        var (folder, days) = (Folder(), Days(365));
        var name = new Option<string>("--name") { HelpName = "NAME", Description = "of the process; the files are called after it", Required = true };
        var target = new Option<string?>("--out") { HelpName = "DIR", Description = "where its files are written; without it beside the authority's" };
        var hosts = new Option<string[]>("--host")
        {
            HelpName = "HOST",
            Description = "a name or address of its machine, for tools that look at it; may be given several times",
        };
        var command = new Command("issue", "Issue a certificate for a coordinator or a worker. One that runs takes it in place of the old for new connections.")
        {
            folder, name, target, hosts, days,
        };
        command.SetAction(parsed =>
        {
            var own = parsed.GetRequiredValue(folder);
            var process = Checked(name, parsed.GetRequiredValue(name), path: true);
            if (process == "ca") throw new InvalidOptionsException("--name is ca; that is the authority's own: give another");
            var given = parsed.GetValue(hosts) ?? [];
            foreach (var host in given)
                if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
                    throw new InvalidOptionsException($"--host is '{host}'; it must be a name such as node-1.example.com, or an address");
            var (certificate, key) = new CertificateAuthority(own, TimeProvider.System)
                .Issue(process, parsed.GetValue(target) ?? own, DaysOf(parsed, days), given.Length > 0 ? given : ["localhost", "127.0.0.1", "::1"]);
            parsed.InvocationConfiguration.Output.WriteLine(certificate);
            parsed.InvocationConfiguration.Output.WriteLine(key);
            return ExitCode.Done;
        });
        return command;
    }

    static Option<string> Folder() => new("--dir") { HelpName = "DIR", Description = "the authority's folder", Required = true };

    static Option<int> Days(int usual) =>
        new("--days") { HelpName = "N", Description = "how long the certificate is good for", DefaultValueFactory = _ => usual };

    static int DaysOf(ParseResult parsed, Option<int> days) => NumberOption.Check("--days", parsed.GetValue(days), 1, 36_500);

    static string Checked(Option<string> option, string name, bool path) =>
        name.Length is > 0 and <= LongestName && !name.Any(char.IsControl) && (!path || (name.IndexOfAny(Path.GetInvalidFileNameChars()) < 0 && name[0] != '.'))
            ? name
            : throw new InvalidOptionsException(
                $"{option.Name} is '{name}'; it must have 1 to {LongestName} characters{(path ? " that a file's name may have" : "")}");
}
