using System.Net.Sockets;

namespace LlamaCluster.Testing;

/// <summary>Connections that speak no protocol that anybody serves.</summary>
public static class RandomBytes
{
    const int MostBytes = 20_000;

    /// <summary>
    /// Connects so many times, one after the other, and sends random bytes, every second time behind the words that open HTTP/2 so
    /// that they are read as frames.
    /// </summary>
    /// <exception cref="TimeoutException">A connection was not ended by the other side.</exception>
    public static async Task SendAsync(Uri address, int connections)
    {
        for (var seed = 0; seed < connections; seed++)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(address.Host, address.Port).WaitAsync(WaitExtensions.Deadline);
            try
            {
                await SendAsync(client, seed).WaitAsync(WaitExtensions.Deadline);
            }
            catch (IOException)
            {
                continue;   // hung up while it was still being written to
            }
        }
    }

    static async Task SendAsync(TcpClient client, int seed)
    {
        var random = new Random(seed);
        var bytes = new byte[1 + random.Next(MostBytes)];
        random.NextBytes(bytes);
        var stream = client.GetStream();
        if (seed % 2 == 0) await stream.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
        await stream.WriteAsync(bytes);
        client.Client.Shutdown(SocketShutdown.Send);
        await stream.CopyToAsync(Stream.Null);
    }
}
