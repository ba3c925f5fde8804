namespace LlamaCluster.Integration.Tests.Network;

/// <summary>A cable (veth) from each machine to a bridge, on which the kernel forwards as fast as it can, or as tc netem has it.</summary>
/// <param name="id">Begins the names of devices.</param>
/// <param name="shape">Of all links; null: as fast as it can.</param>
sealed class BridgeWiring(string id, LinkShape? shape) : IWiring
{
    /// <summary>The machine's end of its cable.</summary>
    const string Inner = "eth0";

    readonly List<string> _devices = [];

    public void Connect(IReadOnlyList<(string? Namespace, string Address)> machines)
    {
        var bridge = $"{id}br";
        IpCommand.Run(null, "link", "add", bridge, "type", "bridge");
        _devices.Add(bridge);
        foreach (var (@namespace, address) in machines)
        {
            if (@namespace is not null) AddCable(@namespace, bridge);
            IpCommand.TurnOn(@namespace, @namespace is null ? bridge : Inner, address);
        }
    }

    /// <summary>With one end of a cable the other goes, too.</summary>
    public void Dispose()
    {
        foreach (var device in _devices) IpCommand.Run(null, "link", "delete", device);
    }

    void AddCable(string @namespace, string bridge)
    {
        var outer = $"{id}v{_devices.Count}";
        IpCommand.Run(null, "link", "add", outer, "type", "veth", "peer", "name", Inner, "netns", @namespace);
        _devices.Add(outer);
        IpCommand.Run(null, "link", "set", outer, "master", bridge, "up");
        if (shape is null) return;
        SystemCommand.Run(["tc", "qdisc", "add", "dev", outer, "root", .. shape.Netem]);
        SystemCommand.Run(["tc", "-netns", @namespace, "qdisc", "add", "dev", Inner, "root", .. shape.Netem]);
    }
}
