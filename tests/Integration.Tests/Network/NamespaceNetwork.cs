namespace LlamaCluster.Integration.Tests.Network;

/// <summary>
/// Namespaces as machines on one network: each has an address of its own, and this process is on the network, too, through a bridge. All goes
/// away with the test.
/// </summary>
sealed class NamespaceNetwork : IDisposable
{
    readonly string _id = $"lc{Environment.ProcessId % 100_000}";
    readonly List<string> _namespaces = [];

    /// <param name="link">What tc netem makes of each machine's link, e.g. delay 500us rate 1gbit; empty: nothing.</param>
    public NamespaceNetwork(int machines, params string[] link)
    {
        try
        {
            SystemCommand.Run("ip", "link", "add", Bridge, "type", "bridge");
            SystemCommand.Run("ip", "address", "add", $"{Address}/24", "dev", Bridge);
            SystemCommand.Run("ip", "link", "set", Bridge, "up");
            for (var machine = 0; machine < machines; machine++) Add(machine, link);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Of this process.</summary>
    public string Address => $"{Prefix}.1";

    string Bridge => $"{_id}br";

    /// <summary>One of the addresses kept for measurements (RFC 2544), which nothing else uses.</summary>
    string Prefix => $"198.18.{Environment.ProcessId % 250}";

    /// <summary>The command that runs another one on a machine.</summary>
    public string[] On(int machine) => ["ip", "netns", "exec", _namespaces[machine]];

    public string AddressOf(int machine) => $"{Prefix}.{machine + 2}";

    public void Dispose()
    {
        // With a namespace go its links.
        foreach (var name in _namespaces) SystemCommand.Run("ip", "netns", "delete", name);
        SystemCommand.Run("ip", "link", "delete", Bridge);
    }

    void Add(int machine, string[] link)
    {
        var (name, outer) = ($"{_id}-{machine}", $"{_id}v{machine}");
        SystemCommand.Run("ip", "netns", "add", name);
        _namespaces.Add(name);
        SystemCommand.Run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name);
        SystemCommand.Run("ip", "link", "set", outer, "master", Bridge, "up");
        SystemCommand.Run([.. On(machine), "ip", "address", "add", $"{AddressOf(machine)}/24", "dev", "eth0"]);
        foreach (var device in new[] { "lo", "eth0" }) SystemCommand.Run([.. On(machine), "ip", "link", "set", device, "up"]);
        if (link.Length == 0) return;
        SystemCommand.Run([.. On(machine), "tc", "qdisc", "add", "dev", "eth0", "root", "netem", .. link]);
        SystemCommand.Run(["tc", "qdisc", "add", "dev", outer, "root", "netem", .. link]);
    }
}
