using System.Globalization;
using System.Net;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>Machines whose packets this process carries: for links that the kernel at hand cannot imitate.</summary>
/// <param name="id">Begins the names of devices.</param>
sealed class TunWiring(string id, LinkFaults faults) : IWiring
{
    readonly List<TunDevice> _devices = [];
    TunSwitch? _switch;

    public void Connect(IReadOnlyList<(string? Namespace, string Address)> machines)
    {
        foreach (var (@namespace, address) in machines)
        {
            var device = new TunDevice($"{id}t{_devices.Count}");
            _devices.Add(device);
            SystemCommand.Run("ip", "link", "set", device.Name, "mtu", TunSwitch.PacketBytes.ToString(CultureInfo.InvariantCulture));
            if (@namespace is not null) SystemCommand.Run("ip", "link", "set", device.Name, "netns", @namespace);
            IpCommand.TurnOn(@namespace, device.Name, address);
        }
        _switch = new TunSwitch(_devices.Zip(machines, (device, machine) => (device, IPAddress.Parse(machine.Address))), faults);
    }

    public void Dispose()
    {
        try
        {
            _switch?.Dispose();
        }
        finally
        {
            foreach (var device in _devices) device.Dispose();
        }
    }
}
