using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api;

/// <summary>
/// On whose behalf a request comes, for sharing out the cluster: its API key, its address, and the end user that it names, which an application
/// in front of many people tells apart by `user`. Nobody proves who they are, so this is fairness among those who mean well. A digest, so that no key lies about.
/// </summary>
static class ClientIdentity
{
    public static string Of(HttpContext http, string? user)
        => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', http.Request.Headers.Authorization, http.Connection.RemoteIpAddress, user))));
}
