using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>An address asked with a method that it does not take.</summary>
sealed class WrongMethodEndpoint(string[] allowed) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
    {
        http.Response.Headers.Allow = string.Join(", ", allowed);
        return Task.FromResult<ApiError?>(ApiError.WrongMethod(http.Request.Method, http.Request.Path, string.Join(" or ", allowed)));
    }
}
