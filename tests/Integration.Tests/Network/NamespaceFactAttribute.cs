namespace LlamaCluster.Integration.Tests.Network;

/// <summary>A test that makes network namespaces; where that cannot be done it is reported as not run, with the reason.</summary>
public sealed class NamespaceFactAttribute : FactAttribute
{
    static readonly Lazy<string?> NoNamespaces = new(() => Environment.UserName != "root" ? "it takes root to make network namespaces" : Try("true"));

    static readonly Lazy<string?> NoNetem = new(() => NoNamespaces.Value ?? Try("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"));

    public NamespaceFactAttribute(bool slowLinks = false)
    {
        if ((slowLinks ? NoNetem : NoNamespaces).Value is { } problem) Skip = $"not run: {problem}";
    }

    /// <summary>Does something in a namespace of its own.</summary>
    /// <returns>Why it cannot be done; null if it can.</returns>
    static string? Try(params string[] command)
    {
        var name = $"llamacluster-{Environment.ProcessId}-try";
        try
        {
            SystemCommand.Run("ip", "netns", "add", name);
            try
            {
                SystemCommand.Run(["ip", "netns", "exec", name, .. command]);
                return null;
            }
            finally
            {
                SystemCommand.Run("ip", "netns", "delete", name);
            }
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return e.Message;
        }
    }
}
