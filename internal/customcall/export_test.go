package customcall

var LimitVectors = limitVectors
