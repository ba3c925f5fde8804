using LlamaCluster.Integration.Tests.Network.Tun;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>
/// Namespaces as machines on one network: each has an address of its own, and this process is on the network, too. All goes away with the test.
/// </summary>
sealed class NamespaceNetwork : IDisposable
{
    /// <summary>By which a worker knows the machine that it is on.</summary>
    const string MachineId = "/proc/sys/kernel/random/boot_id";

    /// <summary>Of processes on machines; one that may not have it runs as others do.</summary>
    const int Niceness = -15;

    /// <summary>Begins the names of all that a process makes; its id follows.</summary>
    const string Prefix = "lc";

    readonly string _id = $"{Prefix}{Environment.ProcessId}";
    readonly TempFolder _machineIds = new();
    readonly List<string> _namespaces = [];
    readonly IWiring _wiring;

    /// <param name="links">Between any two; null: as fast as the kernel can.</param>
    public NamespaceNetwork(int machines, LinkShape? links = null)
        : this(machines, id => links is null || NetworkAbility.Netem is null ? new BridgeWiring(id, links) : new TunWiring(id, new LinkFaults(links, seed: 0)))
    {
    }

    /// <param name="faults">What becomes of packets between any two.</param>
    public NamespaceNetwork(int machines, LinkFaults faults)
        : this(machines, id => new TunWiring(id, faults))
    {
    }

    NamespaceNetwork(int machines, Func<string, IWiring> wiring)
    {
        _wiring = wiring(_id);
        RemoveWhatKilledProcessesLeft();
        try
        {
            for (var machine = 0; machine < machines; machine++) Add(machine);
            _wiring.Connect([(null, Address), .. _namespaces.Select((name, machine) => (name, AddressOf(machine)))]);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int Machines => _namespaces.Count;

    /// <summary>Of this process.</summary>
    public string Address => $"{Subnet}.1";

    /// <summary>One of the addresses kept for measurements (RFC 2544), which nothing else uses.</summary>
    static string Subnet => $"198.18.{Environment.ProcessId % 250}";

    /// <summary>The command that runs another one on a machine.</summary>
    /// <param name="without">A folder that is empty there; null: all files are as here.</param>
    public string[] On(int machine, string? without = null)
    {
        var hide = without is null ? "" : $" && mount -t tmpfs none {without}";
        // Processes of one machine share memory. Those of two do not. A machine has processors of its own, so what else runs here is to take little of them.
        var own = $"mount --bind {_machineIds.File($"{machine}")} {MachineId} && mount -t tmpfs none /dev/shm{hide}";
        return ["ip", "netns", "exec", _namespaces[machine], "sh", "-c", $"{own} && exec nice -n {Niceness} \"$@\"", "sh"];
    }

    public string AddressOf(int machine) => $"{Subnet}.{machine + 2}";

    /// <summary>Whatever cannot be taken away, the rest is.</summary>
    public void Dispose()
    {
        List<Exception> failures = [];
        Action[] all = [_wiring.Dispose, .. _namespaces.Select(name => (Action)(() => SystemCommand.Run("ip", "netns", "delete", name))), _machineIds.Dispose];
        foreach (var remove in all)
            try
            {
                remove();
            }
            catch (Exception e)
            {
                failures.Add(e);
            }
        if (failures.Count > 0) throw new AggregateException(failures);
    }

    void Add(int machine)
    {
        var name = $"{_id}-{machine}";
        SystemCommand.Run("ip", "netns", "add", name);
        _namespaces.Add(name);
        IpCommand.Run(name, "link", "set", "lo", "up");
        File.WriteAllText(_machineIds.File($"{machine}"), $"{name}\n");
    }

    /// <summary>A test run that was killed could not clean up.</summary>
    static void RemoveWhatKilledProcessesLeft()
    {
        foreach (var name in LeftIn("/run/netns")) SystemCommand.Run("ip", "netns", "delete", name);
        foreach (var bridge in LeftIn("/sys/class/net").Where(name => name.EndsWith("br", StringComparison.Ordinal)))
            IpCommand.Run(null, "link", "delete", bridge);
    }

    /// <summary>Names of ours, of processes that are no more.</summary>
    static IEnumerable<string> LeftIn(string folder) => !Directory.Exists(folder) ? [] :
        from path in Directory.GetFileSystemEntries(folder, $"{Prefix}*")
        let name = Path.GetFileName(path)
        let process = string.Concat(name[Prefix.Length..].TakeWhile(char.IsAsciiDigit))
        where process.Length > 0 && !Directory.Exists($"/proc/{process}")
        select name;
}
