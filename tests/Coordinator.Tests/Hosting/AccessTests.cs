using System.Net;
using System.Net.Http.Headers;
using Grpc.AspNetCore.Server;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api.Endpoints;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Tests.Api.Keys;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Hosting;

/// <summary>Every address of the API and every method of the workers' services, asked by everybody. What is new is closed until it is listed here.</summary>
public sealed class AccessTests : IAsyncLifetime
{
    /// <summary>The second line is there with --api-docs only.</summary>
    static readonly string[] ForStrangers =
    [
        "/health", "/v1/health", "/ready", "/console/x",
        "/docs/x", "/docs/scalar.js", "/docs/scalar.aspnetcore.js", "/docs/favicon.svg", "/openapi.json",
    ];
    static readonly string[] ForMetrics = ["/metrics", "/v1/cluster", "/v1/cluster/events"];
    static readonly string[] ForAdmins = ["/v1/cluster/plan", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"];

    /// <summary>A registration proves by the join token who it is; that is tested with it. Health is for probes.</summary>
    static readonly string[] MethodsForStrangers =
        ["/llamacluster.v1.Membership/Register", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch"];

    readonly KeyFile _keys = new(("client", "inference"), ("grafana", "metrics"), ("root", "admin"));
    readonly TempFolder _folder = new();
    TestCluster _cluster = null!;

    public async Task InitializeAsync()
    {
        File.WriteAllText(_folder.File("join"), "a secret of this test");
        _cluster = await TestCluster.StartAsync(TestCluster.Options with
        {
            Api = TestCluster.Options.Api with { KeysFile = _keys.Path, ReferencePage = true },
            JoinTokenFile = _folder.File("join"),
        });
    }

    public async Task DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _keys.Dispose();
        _folder.Dispose();
    }

    IEnumerable<RouteEndpoint> Endpoints => _cluster.Host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>();

    [Fact]
    public async Task An_address_of_the_API_answers_who_has_a_key_for_it()
    {
        using var http = new HttpClient(HttpHandlers.Direct()) { BaseAddress = _cluster.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        var routes = Endpoints.Where(endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>() is null).ToList();
        Assert.InRange(routes.Count, 60, 300);
        var wrong = new List<string>();
        foreach (var route in routes)
            foreach (var method in route.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET", "POST", "PUT"])
                foreach (var (caller, scopes) in new[] { ("", ""), ("forged", ""), ("client", "i"), ("grafana", "m"), ("root", "ima") })
                {
                    var path = PathOf(route);
                    // The page of the console, which asks for a key; POST is Text Generation Inference's.
                    var isPage = path == "/" && method is "GET" or "HEAD";
                    var expected = ForStrangers.Contains(path) || (path == "/" && isPage) ? HttpStatusCode.OK
                        : scopes.Length == 0 ? HttpStatusCode.Unauthorized
                        : scopes.Contains(ForMetrics.Contains(path) ? 'm' : ForAdmins.Contains(path) ? 'a' : 'i') ? HttpStatusCode.OK
                        : HttpStatusCode.Forbidden;
                    using var request = new HttpRequestMessage(new HttpMethod(method), path);
                    if (caller.Length > 0)
                        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", caller == "forged" ? "llc-forged" : _keys[caller]);
                    using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
                    // The list of all sessions is one address with two owners: everybody makes sessions, administrators see them all.
                    if (path == "/v1/sessions" && method is "GET" or "HEAD" && caller == "client") expected = HttpStatusCode.Forbidden;
                    var seen = answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? answer.StatusCode : HttpStatusCode.OK;
                    if (seen != expected) wrong.Add($"{method} {path} by '{caller}': {answer.StatusCode}, not {expected}");
                }
        Assert.Empty(wrong);
    }

    [Fact]
    public async Task A_method_of_the_workers_services_answers_no_stranger()
    {
        using var http = new HttpClient(HttpHandlers.Direct()) { BaseAddress = _cluster.Host.GrpcAddress, Timeout = WaitExtensions.Deadline };
        var methods = Endpoints.Where(endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>() is not null).Select(PathOf).ToList();
        Assert.InRange(methods.Count, 8, 40);
        foreach (var method in methods.Except(MethodsForStrangers))
            foreach (var key in new[] { "", new string('0', 64), _keys["root"] })
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, method)
                {
                    Version = HttpVersion.Version20,
                    VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                    Content = new ByteArrayContent([0, 0, 0, 0, 0]) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
                };
                if (key.Length > 0) request.Headers.Add(PeerKey.Header, key);
                if (key.Length > 0) request.Headers.Add(PeerKey.WorkerHeader, "w1");
                using var answer = await http.SendAsync(request);
                await answer.Content.ReadAsByteArrayAsync();
                var status = (answer.Headers.TryGetValues("grpc-status", out var early) ? early : answer.TrailingHeaders.GetValues("grpc-status")).Single();
                Assert.True(status == "16", $"{method} with '{key}': {status}");
            }
    }

    [Fact]
    public async Task The_API_and_the_workers_services_are_not_on_each_others_address()
    {
        using var api = new HttpClient(HttpHandlers.Direct()) { BaseAddress = _cluster.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/llamacluster.v1.Membership/Register");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _keys["root"]);
        using var answer = await api.SendAsync(request);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    /// <summary>A path of the route, with x in the place of what may stand there.</summary>
    static string PathOf(RouteEndpoint endpoint) => "/" + string.Join('/', endpoint.RoutePattern.PathSegments.Select(segment =>
        string.Concat(segment.Parts.Select(part => part is Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal ? literal.Content : "x"))));
}
