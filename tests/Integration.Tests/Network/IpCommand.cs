namespace LlamaCluster.Integration.Tests.Network;

/// <summary>`ip`, in this process's own namespace or in another.</summary>
static class IpCommand
{
    /// <param name="namespace">Null: this process's own.</param>
    public static void Run(string? @namespace, params string[] arguments)
        => SystemCommand.Run(["ip", .. @namespace is null ? (string[])[] : ["-netns", @namespace], .. arguments]);

    /// <summary>From then on the device sends and takes what is on its machine's network of 254.</summary>
    public static void TurnOn(string? @namespace, string device, string address)
    {
        Run(@namespace, "address", "add", $"{address}/24", "dev", device);
        Run(@namespace, "link", "set", device, "up");
    }
}
