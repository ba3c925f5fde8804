using System.Net;
using System.Net.Sockets;
using System.Text;

namespace LlamaCluster.Testing;

/// <summary>Connections of a client that says what a test wants, and no more.</summary>
public sealed class RawConnections(IPEndPoint server) : IDisposable
{
    readonly List<TcpClient> _open = [];

    public async Task<NetworkStream> OpenAsync(string said = "")
    {
        var client = new TcpClient();
        lock (_open) _open.Add(client);
        await client.ConnectAsync(server).WaitAsync(WaitExtensions.Deadline);
        var stream = client.GetStream();
        if (said.Length > 0) await stream.WriteAsync(Encoding.ASCII.GetBytes(said));
        return stream;
    }

    public async Task<IReadOnlyList<NetworkStream>> OpenAsync(int count, string said = "")
    {
        var streams = new NetworkStream[count];
        await Parallel.ForAsync(0, count, async (i, _) => streams[i] = await OpenAsync(said));
        return streams;
    }

    /// <summary>Completes when the server has hung up.</summary>
    /// <returns>What it said before.</returns>
    public static async Task<string> HungUpAsync(NetworkStream stream)
    {
        using var deadline = new CancellationTokenSource(WaitExtensions.Deadline);
        var (said, buffer) = (new StringBuilder(), new byte[4096]);
        try
        {
            while (await stream.ReadAsync(buffer, deadline.Token) is > 0 and var count) said.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }
        catch (IOException)
        {
            return said.ToString();   // hung up on with a reset
        }
        return said.ToString();
    }

    /// <summary>Reads until a text has come, or the server has hung up.</summary>
    /// <returns>Whether it came.</returns>
    public static async Task<bool> SaysAsync(NetworkStream stream, string text)
    {
        using var deadline = new CancellationTokenSource(WaitExtensions.Deadline);
        var (said, buffer) = (new StringBuilder(), new byte[4096]);
        try
        {
            while (await stream.ReadAsync(buffer, deadline.Token) is > 0 and var count)
                if (said.Append(Encoding.ASCII.GetString(buffer, 0, count)).ToString().Contains(text)) return true;
        }
        catch (IOException)
        {
            return false;   // hung up on with a reset
        }
        return false;
    }

    public void Dispose()
    {
        foreach (var client in _open) client.Dispose();
    }
}
