using System.ComponentModel;
using LlamaCluster.Integration.Tests.Network.Tun;

namespace LlamaCluster.Integration.Tests.Network;

/// <summary>What networks this process can make here. Each is tried once; null means that it can be done, else it says why not.</summary>
static class NetworkAbility
{
    static readonly Lazy<string?> NamespacesTried = new(
        () => Environment.UserName != "root" ? "it takes root to make network namespaces" : TryInNamespace("true"));

    static readonly Lazy<string?> NetemTried = new(() => Namespaces ?? TryInNamespace("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"));

    static readonly Lazy<string?> TunTried = new(() => Namespaces ?? Try(() => new TunDevice(Name).Dispose()));

    public static string? Namespaces => NamespacesTried.Value;

    /// <summary>Links of any shape, which the kernel imitates.</summary>
    public static string? Netem => NetemTried.Value;

    /// <summary>Links of any shape, which this process imitates.</summary>
    public static string? Tun => TunTried.Value;

    static string Name => $"lc{Environment.ProcessId}try";

    static string? TryInNamespace(params string[] command) => Try(() =>
    {
        SystemCommand.Run("ip", "netns", "add", Name);
        try
        {
            SystemCommand.Run(["ip", "netns", "exec", Name, .. command]);
        }
        finally
        {
            SystemCommand.Run("ip", "netns", "delete", Name);
        }
    });

    static string? Try(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or IOException or Win32Exception)
        {
            return e.Message;
        }
    }
}
