#include "textflag.h"

// func weightedSumAVX2(to *float32, n int, from *float32, at *int, weights *float32, terms int)
//
// 32 sums are made at once, and 8 at once of what is left. Y0 to Y3 hold them until all terms are in.
TEXT ·weightedSumAVX2(SB), NOSPLIT, $0-48
	MOVQ to+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ from+16(FP), SI
	MOVQ at+24(FP), R8
	MOVQ weights+32(FP), R9
	MOVQ terms+40(FP), R10

thirtyTwo:
	CMPQ CX, $32
	JLT  eight
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	XORQ BX, BX

terms32:
	MOVQ (R8)(BX*8), AX
	LEAQ (SI)(AX*4), DX
	VBROADCASTSS (R9)(BX*4), Y4
	VMULPS (DX), Y4, Y5
	VMULPS 32(DX), Y4, Y6
	VMULPS 64(DX), Y4, Y7
	VMULPS 96(DX), Y4, Y8
	VADDPS Y5, Y0, Y0
	VADDPS Y6, Y1, Y1
	VADDPS Y7, Y2, Y2
	VADDPS Y8, Y3, Y3
	INCQ BX
	CMPQ BX, R10
	JLT  terms32
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, CX
	JMP  thirtyTwo

eight:
	TESTQ CX, CX
	JLE  done
	VXORPS Y0, Y0, Y0
	XORQ BX, BX

terms8:
	MOVQ (R8)(BX*8), AX
	VBROADCASTSS (R9)(BX*4), Y4
	VMULPS (SI)(AX*4), Y4, Y5
	VADDPS Y5, Y0, Y0
	INCQ BX
	CMPQ BX, R10
	JLT  terms8
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JMP  eight

done:
	VZEROUPPER
	RET

// func fromUint8AVX2(to *float32, from *uint8, n int)
TEXT ·fromUint8AVX2(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL $0x437f0000, AX // 255
	VMOVD AX, X1
	VBROADCASTSS X1, Y1

level8:
	VPMOVZXBD (SI), Y0
	VCVTDQ2PS Y0, Y0
	VDIVPS Y1, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $8, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGT  level8
	VZEROUPPER
	RET

// func clampAVX2(values *float32, n int)
TEXT ·clampAVX2(SB), NOSPLIT, $0-16
	MOVQ values+0(FP), DI
	MOVQ n+8(FP), CX
	VXORPS Y0, Y0, Y0
	MOVL $0x3f800000, AX
	VMOVD AX, X1
	VBROADCASTSS X1, Y1

clamp8:
	VMOVUPS (DI), Y2
	VMAXPS Y0, Y2, Y2
	VMINPS Y1, Y2, Y2
	VMOVUPS Y2, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JGT  clamp8
	VZEROUPPER
	RET

// func extremesAVX2(values *float32, n int, lows, highs *[8]float32)
TEXT ·extremesAVX2(SB), NOSPLIT, $0-32
	MOVQ values+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ lows+16(FP), R8
	MOVQ highs+24(FP), R9
	VMOVUPS (SI), Y0
	VMOVAPS Y0, Y1

extremes8:
	VMOVUPS (SI), Y2
	VMINPS Y2, Y0, Y0
	VMAXPS Y2, Y1, Y1
	ADDQ $32, SI
	SUBQ $8, CX
	JGT  extremes8
	VMOVUPS Y0, (R8)
	VMOVUPS Y1, (R9)
	VZEROUPPER
	RET

// func chamferAVX2(row, before, two *int32, n int, straight, diagonal, knight int32)
TEXT ·chamferAVX2(SB), NOSPLIT, $0-44
	MOVQ row+0(FP), DI
	MOVQ before+8(FP), SI
	MOVQ two+16(FP), R8
	MOVQ n+24(FP), CX
	VBROADCASTSS straight+32(FP), Y0
	VBROADCASTSS diagonal+36(FP), Y1
	VBROADCASTSS knight+40(FP), Y2

chamfer8:
	VPADDD 8(SI), Y0, Y3
	VPMINSD (DI), Y3, Y3
	VMOVDQU 4(SI), Y4
	VPMINSD 12(SI), Y4, Y4
	VPADDD Y1, Y4, Y4
	VPMINSD Y4, Y3, Y3
	VMOVDQU (SI), Y5
	VPMINSD 16(SI), Y5, Y5
	VPMINSD (R8), Y5, Y5
	VPMINSD 8(R8), Y5, Y5
	VPADDD Y2, Y5, Y5
	VPMINSD Y5, Y3, Y3
	VMOVDQU Y3, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	ADDQ $32, R8
	SUBQ $8, CX
	JGT  chamfer8
	VZEROUPPER
	RET
