using Grpc.Core;

namespace LlamaCluster.Compat.Tests;

/// <summary>Mutual TLS: what a cluster that leaves loopback uses.</summary>
public sealed class ClientCertificateTests : IDisposable
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    readonly TestAuthority _authority = new("LlamaCluster test authority");

    [Fact]
    public async Task A_certificate_of_the_authority_is_let_in_and_known_by_name()
    {
        await using var server = await EchoServer.StartWithClientCertificatesAsync(_authority);
        using var certificate = _authority.Issue("worker-7");
        using var channel = server.Channel(options => options.HttpHandler = EchoServer.TlsHandler(_authority, certificate));
        var answer = await new Echo.EchoClient(channel).WhoAmIAsync(new EchoMessage(), deadline: DateTime.UtcNow + Deadline);
        Assert.Equal(1, answer.Times);
        Assert.Equal("worker-7", answer.Text);
    }

    [Fact]
    public async Task All_call_kinds_work_over_tls()
    {
        await using var server = await EchoServer.StartWithClientCertificatesAsync(_authority);
        using var certificate = _authority.Issue("worker-7");
        using var channel = server.Channel(options => options.HttpHandler = EchoServer.TlsHandler(_authority, certificate));
        using var call = new Echo.EchoClient(channel).Talk(deadline: DateTime.UtcNow + Deadline);
        await call.RequestStream.WriteAsync(new EchoMessage { Text = "secret" });
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.Equal("SECRET", call.ResponseStream.Current.Text);
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
    }

    [Fact]
    public async Task No_certificate_is_refused()
    {
        await using var server = await EchoServer.StartWithClientCertificatesAsync(_authority);
        await AssertRefusedAsync(server, null);
    }

    [Fact]
    public async Task A_certificate_of_another_authority_is_refused()
    {
        using var stranger = new TestAuthority("someone else");
        using var certificate = stranger.Issue("worker-7");
        await using var server = await EchoServer.StartWithClientCertificatesAsync(_authority);
        await AssertRefusedAsync(server, certificate);
    }

    [Fact]
    public async Task A_client_refuses_a_server_of_another_authority()
    {
        using var stranger = new TestAuthority("someone else");
        await using var server = await EchoServer.StartWithClientCertificatesAsync(stranger);
        await AssertRefusedAsync(server, null);
    }

    [Fact]
    public async Task Call_credentials_travel_over_tls_only()
    {
        await using var server = await EchoServer.StartWithClientCertificatesAsync(_authority);
        using var certificate = _authority.Issue("worker-7");
        var token = CallCredentials.FromInterceptor((_, metadata) =>
        {
            metadata.Add("authorization", "Bearer t");
            return Task.CompletedTask;
        });
        using var channel = server.Channel(options =>
        {
            options.HttpHandler = EchoServer.TlsHandler(_authority, certificate);
            options.Credentials = ChannelCredentials.Create(ChannelCredentials.SecureSsl, token);
        });
        using var call = new Echo.EchoClient(channel).SayAsync(new EchoMessage(), deadline: DateTime.UtcNow + Deadline);
        await call;
        Assert.Equal("Bearer t", call.GetTrailers().GetValue("saw-authorization"));
        Assert.Throws<ArgumentException>(() => ChannelCredentials.Create(ChannelCredentials.Insecure, token));
    }

    public void Dispose() => _authority.Dispose();

    async Task AssertRefusedAsync(EchoServer server, System.Security.Cryptography.X509Certificates.X509Certificate2? certificate)
    {
        using var channel = server.Channel(options => options.HttpHandler = EchoServer.TlsHandler(_authority, certificate));
        var failure = await Assert.ThrowsAsync<RpcException>(async () => await new Echo.EchoClient(channel).SayAsync(new EchoMessage(), deadline: DateTime.UtcNow + Deadline));
        Assert.Contains(failure.StatusCode, (StatusCode[])[StatusCode.Unavailable, StatusCode.Internal]);
    }
}
