namespace LlamaCluster.Architecture.Tests;

/// <summary>
/// Connections are made in one place each, because that place decides what may go through a proxy: handlers of HTTP in HttpHandlers, channels of gRPC
/// in PeerChannels. Whoever made one elsewhere would get the library's defaults, which send even loopback through HTTP_PROXY.
/// </summary>
public sealed class ConnectionTests
{
    const string Handlers = "LlamaCluster.Cluster.Rpc.HttpHandlers";
    const string Channels = "LlamaCluster.Cluster.Rpc.PeerChannels";

    /// <summary>Types that connect by themselves, or make something that does.</summary>
    static readonly string[] Connecting =
    [
        "System.Net.Http.SocketsHttpHandler", "System.Net.Http.HttpClientHandler", "System.Net.Http.WinHttpHandler", "System.Net.WebClient",
        "System.Net.WebRequest", "System.Net.HttpWebRequest", "System.Net.WebSockets.ClientWebSocket",
        "Microsoft.Extensions.DependencyInjection.HttpClientFactoryServiceCollectionExtensions",
    ];

    [Fact]
    public void Handlers_of_HTTP_are_made_in_one_place()
        => AssertNone(call => call.From != Handlers && IsMaking(call) && Connecting.Contains(call.Type));

    [Fact]
    public void An_HTTP_client_is_given_its_handler()
        => AssertNone(call => call is { Type: "System.Net.Http.HttpClient", Method: ".ctor", Parameters: 0 });

    [Fact]
    public void Channels_of_gRPC_are_made_in_one_place()
        => AssertNone(call => call.From != Channels && call is { Type: "Grpc.Net.Client.GrpcChannel", Method: "ForAddress" });

    [Fact]
    public void The_places_are_where_this_test_looks_for_them()
    {
        Assert.Contains(CompiledTypes.Calls, call => call is { From: Handlers, Type: "System.Net.Http.SocketsHttpHandler", Method: ".ctor" });
        Assert.Contains(CompiledTypes.Calls, call => call is { From: Channels, Type: "Grpc.Net.Client.GrpcChannel", Method: "ForAddress" });
    }

    static void AssertNone(Func<MethodCall, bool> bad) => Assert.Empty(CompiledTypes.Calls.Where(bad).Select(call => call.ToString()));

    /// <summary>A constructor or a static method. Properties of a handler that was given may be set anywhere.</summary>
    static bool IsMaking(MethodCall call) => call.Method == ".ctor" || !call.Method.StartsWith("set_", StringComparison.Ordinal);
}
