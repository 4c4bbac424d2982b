package extension

import "rhumb"

const proxyProtocolHint = "write v1, v2 or accept, or a list of accept and one of the others"

// readProxyProtocol reads one of v1, v2 and accept, or a list of them.
func readProxyProtocol(at reader, v any) (send rhumb.ProxyProtocol, accept bool) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		switch item {
		case string(rhumb.ProxyV1), string(rhumb.ProxyV2):
			if send != "" {
				at.wrong(proxyProtocolHint, "replicas can't get two versions")
			}
			send = rhumb.ProxyProtocol(item.(string))
		case "accept":
			accept = true
		default:
			at.wrong(proxyProtocolHint, "%v is no use of the PROXY protocol", shown(item))
		}
	}
	return send, accept
}
